//! Discord: <https://discord.com/developers/docs/topics/oauth2>.

use super::Preset;

pub(super) const PRESET: Preset = Preset::oauth(
    "discord",
    "Discord",
    "https://discord.com/oauth2/authorize",
    "https://discord.com/api/oauth2/token",
    "https://discord.com/api/users/@me",
)
.scope("identify email")
.name("global_name|username")
.email_verified("verified")
.image("https://cdn.discordapp.com/avatars/{id}/{avatar}.png");
