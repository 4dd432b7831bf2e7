//! Clocks that are wrong, and are set right.

use countersign::clock::Timestamp;
use countersign::config::Config;
use countersign::guards::Auth;
use countersign::server::clean_once;
use countersign::token::{Claims, Codec, CodecOptions, Format};
use rocket::http::Header;

use crate::app::{App, START, STRATEGIES, Setup};
use crate::browser::{PASSWORD, Steps as _};

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

/// Every format by its name in the configuration.
const FORMATS: [(&str, Format); 4] = [
    ("nextauth-v3", Format::NextAuthV3),
    ("nextauth-v3-encrypted", Format::NextAuthV3Encrypted),
    ("nextauth-v4", Format::NextAuthV4),
    ("authjs-v5", Format::AuthJsV5),
];

/// A token as another program with the same secret mints it, with these times.
fn mint(config: &Config, format: Format, (iat, exp): (i64, i64), nbf: Option<i64>) -> String {
    let codec = Codec::new(CodecOptions {
        secrets: &config.secrets,
        mint: format,
        accept: &[],
        secure_cookies: false,
        max_age: config.session.max_age,
    });
    let mut claims = Claims::default();
    claims.set("sub", "1815");
    claims.set("email", "ada@example.com");
    if let Some(nbf) = nbf {
        claims.set("nbf", nbf);
    }
    codec.mint(&claims, Timestamp(iat), Timestamp(exp)).unwrap()
}

async fn status(app: &App, token: &str) -> u16 {
    let mut request = app.client().get("/claims");
    request.add_header(Header::new("Authorization", format!("Bearer {token}")));
    request.dispatch().await.status().code
}

/// Fifteen seconds are tolerated, sixteen are not. v3 itself tolerates none, and for an end none is needed; that a token
/// was issued a moment from now by another instance is tolerated in every format.
#[rocket::async_test]
async fn times_at_their_edges() {
    let now = START.0;
    for (name, format) in FORMATS {
        let app = Setup::new("jwt").toml(&format!("[default.auth.jwt]\nformat = \"{name}\"")).start().await;
        let config = &app.client().rocket().state::<Auth>().unwrap().config;
        let v3 = matches!(format, Format::NextAuthV3 | Format::NextAuthV3Encrypted);
        let ended = |accepted: bool| if accepted && !v3 { 200 } else { 401 };
        let cases = [
            ("exp in a second", (now, now + 1), None, 200),
            ("exp now", (now - 60, now), None, ended(true)),
            ("exp 14 s ago", (now - 60, now - 14), None, ended(true)),
            ("exp 15 s ago", (now - 60, now - 15), None, 401),
            ("exp 16 s ago", (now - 60, now - 16), None, 401),
            ("nbf now", (now, now + 60), Some(now), 200),
            ("nbf in 14 s", (now, now + 60), Some(now + 14), ended(true)),
            ("nbf in 16 s", (now, now + 60), Some(now + 16), 401),
            ("iat now", (now, now + 60), None, 200),
            ("iat in 14 s", (now + 14, now + 60), None, 200),
            ("iat in 16 s", (now + 16, now + 60), None, if v3 { 401 } else { 200 }),
        ];
        for (label, times, nbf, expected) in cases {
            assert_eq!(status(&app, &mint(config, format, times, nbf)).await, expected, "{name}: {label}");
        }
    }
}

/// Two instances whose clocks are ten seconds apart: what one gives, the other takes at once.
#[rocket::async_test]
async fn an_instance_that_is_behind_takes_what_another_gave() {
    for strategy in STRATEGIES {
        for (name, _) in FORMATS {
            let setup = || Setup::new(strategy).toml(&format!("[default.auth.jwt]\nformat = \"{name}\""));
            let app = setup().start().await;
            app.clock.advance(10);
            let ada = app.browser().enter("ada@example.com").await;
            let carried = ada.cookies();
            // The other instance: the same database and secret, ten seconds behind.
            let behind = app.restart_at(setup(), START).await;
            let mut same = behind.browser().with_cookies(carried);
            assert_eq!(same.me().await, (200, "ada@example.com".to_owned()), "{strategy}, {name}");
        }
    }
}

/// The machine's clock is set back by an hour: what is over stays over.
#[rocket::async_test]
async fn a_clock_that_is_set_back_revives_nothing() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let ada = app.browser().enter("ada@example.com").await;
        // Expired.
        app.clock.advance(30 * DAY + 16);
        assert_eq!(ada.clone().me().await, (401, "session_expired".to_owned()), "{strategy}");
        app.clock.step(-HOUR);
        assert_eq!(ada.clone().me().await, (401, "session_expired".to_owned()), "{strategy}: set back");
        // Revoked: by sign-out, from afar, and by a new password.
        let mut out = app.browser();
        out.try_sign_in("ada@example.com", PASSWORD).await;
        let kept = out.clone();
        assert_eq!(out.sign_out().await.status, 200);
        app.clock.step(-HOUR);
        assert_eq!(kept.clone().me().await, (401, "session_revoked".to_owned()), "{strategy}");
        // Limited: a window that has not ended does not end sooner, and what was counted stays counted.
        let mut eve = app.browser();
        for _ in 0..5 {
            eve.try_sign_in("ada@example.com", "wrong password").await;
        }
        app.clock.step(-HOUR);
        assert_eq!(eve.try_sign_in("ada@example.com", PASSWORD).await.status, 429, "{strategy}");
        // And a restart under the clock that was set back.
        let cookies = kept.cookies();
        let app = app.restart_at(Setup::new(strategy), START.plus(30 * DAY - 3 * HOUR)).await;
        let mut again = app.browser().with_cookies(cookies);
        assert_eq!(again.me().await.0, 401, "{strategy}: restarted");
    }
}

/// The clock jumps far ahead and is set right again: everybody is still signed in, also those who came by meanwhile, and
/// whatever the clean-up did.
#[rocket::async_test]
async fn a_jump_ahead_and_back_destroys_no_session() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let away = app.browser().enter("ada@example.com").await;
        let mut here = app.browser().enter("eve@example.com").await;
        app.clock.step(30 * DAY + 12 * HOUR);
        assert_eq!(here.me().await, (401, "session_expired".to_owned()), "{strategy}");
        // The browser's script asks, too: the cookie stays.
        let answer = here.get("/api/auth/session").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
        assert!(here.session().is_some(), "{strategy}: the cookie was deleted");
        let now = START.plus(30 * DAY + 12 * HOUR);
        clean_once(&*app.store, now.plus(-DAY)).await.unwrap();
        app.clock.step(-(30 * DAY + 12 * HOUR));
        assert_eq!(here.me().await, (200, "eve@example.com".to_owned()), "{strategy}");
        assert_eq!(away.clone().me().await, (200, "ada@example.com".to_owned()), "{strategy}");
        assert_eq!(app.sessions("ada@example.com").await.len(), 1, "{strategy}");
    }
}

/// A session that was begun while the clock was ahead is not refused for good once it is right.
#[rocket::async_test]
async fn a_session_from_the_future_is_good_when_its_time_comes() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        app.clock.step(HOUR);
        let mut ada = app.browser().enter("ada@example.com").await;
        app.clock.step(-HOUR);
        let now = ada.me().await;
        assert!(now.0 == 200 || now == (401, "session_invalid".to_owned()), "{strategy}: {now:?}");
        ada.get("/api/auth/session").await;
        assert!(ada.session().is_some(), "{strategy}: the cookie is left alone");
        app.clock.advance(HOUR);
        assert_eq!(ada.me().await, (200, "ada@example.com".to_owned()), "{strategy}");
    }
}
