//! Binds, governs, verifies and executes queries.
