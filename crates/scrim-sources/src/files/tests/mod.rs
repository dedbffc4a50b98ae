//! Tests of files of every kind, in every place.
