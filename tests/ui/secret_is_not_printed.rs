use scrim_model::Secret;

pub fn not_shown(secret: &Secret<String>) -> String {
    format!("{secret}")
}

pub fn not_serialised(secret: &Secret<String>) -> String {
    serde_json::to_string(secret).unwrap()
}

pub fn not_taken_out(secret: Secret<String>) -> String {
    secret.0
}
