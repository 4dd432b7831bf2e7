//! Acme: https://acme.example/docs/oauth

use countersign::presets::Preset;

pub const PRESET: Preset = Preset::oauth(
    "acme",
    "Acme",
    "https://acme.example/oauth/authorize",
    "https://acme.example/oauth/token",
    "https://acme.example/api/me",
)
.scope("profile email")
.id("account.number")
.name("account.full_name|account.login")
.email("account.email")
.email_verified("account.email_confirmed")
.image("https://acme.example/pictures/{account.number}.png");
