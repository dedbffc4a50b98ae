//! Empty: the root package only holds tests, benches and examples.
