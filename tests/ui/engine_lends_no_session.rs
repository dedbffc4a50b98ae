use scrim_engine::Engine;

pub fn no_session_leaves(engine: &Engine) {
    drop(&engine.shared.sessions);
}
