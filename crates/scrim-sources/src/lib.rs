//! Adapters that yield raw tables to the engine.
