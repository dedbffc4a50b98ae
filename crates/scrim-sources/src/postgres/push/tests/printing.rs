//! What arrives from a planner, and the SQL for it.
