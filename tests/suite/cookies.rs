//! Raw `Cookie` headers, byte for byte as hostile sites and odd clients send them.

use base64::Engine as _;
use rocket::http::{Header, Method};
use serde_json::Value;
use std::io::Read as _;

use crate::app::{App, Setup};
use crate::browser::{Browser, PASSWORD, Steps as _};
use crate::data;

/// What the placeholders of the corpus stand for.
struct Stage {
    https: App,
    http: App,
}

/// The values of one scheme.
struct Values {
    pairs: Vec<(&'static str, String)>,
    csrf_token: String,
}

impl Stage {
    async fn new(strategy: &str) -> Self {
        let https = "[default.auth]\nurl = \"https://app.example.com\"\n";
        Self { https: Setup::new(strategy).toml(https).start().await, http: App::new(strategy).await }
    }

    fn app(&self, scheme: &str) -> &App {
        if scheme == "https" { &self.https } else { &self.http }
    }
}

async fn values(app: &App, scheme: &str) -> Values {
    let (host, prefix) = if scheme == "https" { ("__Host-", "__Secure-") } else { ("", "") };
    let (session, csrf) = (format!("{prefix}next-auth.session-token"), format!("{host}next-auth.csrf-token"));
    let mut victim = app.browser();
    if victim.try_sign_in("victim@example.com", PASSWORD).await.status != 200 {
        victim = app.browser().enter("victim@example.com").await;
    }
    let mut attacker = app.browser();
    if attacker.try_sign_in("attacker@example.com", PASSWORD).await.status != 200 {
        attacker = app.browser().enter("attacker@example.com").await;
    }
    let csrf_token = victim.csrf().await;
    let genuine = victim.cookie(&csrf).unwrap().to_owned();
    let own = victim.cookie(&session).unwrap().to_owned();
    let (first, second) = own.split_at(own.len() / 2);
    let other = attacker.cookie(&session).unwrap().to_owned();
    let forged = format!("{}%7C{}", "a".repeat(64), "b".repeat(64));
    let encoded = own.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
    let pairs = vec![
        ("{SN}", session),
        ("{CN}", csrf),
        ("{VICTIM_PCT2}", encoded.replace('%', "%25")),
        ("{VICTIM_PCT}", encoded),
        ("{VICTIM_UPPER}", own.to_uppercase()),
        ("{VICTIM_TRAILING_SPACE}", format!("{own}%20")),
        ("{VICTIM}", own.clone()),
        (
            "{ATTACKER_VALID_CSRF}",
            attacker
                .cookie(if scheme == "https" {
                    "__Host-next-auth.csrf-token"
                } else {
                    "next-auth.csrf-token"
                })
                .unwrap_or_default()
                .to_owned(),
        ),
        ("{ATTACKER}", other.clone()),
        ("{V0}", first.to_owned()),
        ("{V1}", second.to_owned()),
        ("{A0}", other.split_at(other.len() / 2).0.to_owned()),
        ("{A1}", other.split_at(other.len() / 2).1.to_owned()),
        ("{FORGED_CSRF}", forged),
        ("{CSRF}", genuine),
        ("{MAGIC_LINK_TOKEN}", "f".repeat(64)),
        ("{DELETED_USER}", "gone".to_owned()),
        ("{OTHER_SALT_JWE}", "x.y.z".to_owned()),
    ];
    Values { pairs, csrf_token }
}

/// The header lines of an entry, with the placeholders filled in; `None` when it needs what we do not have, or is no
/// text (Rocket's local client takes texts only; the raw-socket tests send those).
fn lines(entry: &Value, values: &Values) -> Option<Vec<String>> {
    let decode =
        |text: &Value| base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap();
    let raw: Vec<Vec<u8>> = if let Some(lines) = entry["headers_b64"].as_array() {
        lines.iter().map(decode).collect()
    } else {
        entry["headers_zlib_b64"].as_array()?.iter().map(|line| inflate(&decode(line))).collect()
    };
    let fill = |line: Vec<u8>| {
        let mut text = String::from_utf8(line).ok()?;
        for (name, value) in &values.pairs {
            text = text.replace(name, value);
        }
        (!text.contains('{') || text.contains("j:{")).then_some(text)
    };
    raw.into_iter().map(fill).collect()
}

fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut inflated = Vec::new();
    let mut reader = std::io::Cursor::new(miniz_oxide::inflate::decompress_to_vec_zlib(bytes).unwrap());
    reader.read_to_end(&mut inflated).unwrap();
    inflated
}

/// Who these header lines are to the guarded route.
async fn who(app: &App, lines: &[String]) -> (u16, String) {
    let mut request = app.client().get("/me");
    for line in lines {
        request.add_header(Header::new("Cookie", line.clone()));
    }
    let answer = request.dispatch().await;
    let status = answer.status().code;
    (status, answer.into_string().await.unwrap_or_default())
}

#[rocket::async_test]
async fn the_corpus_of_cookie_headers() {
    for strategy in crate::app::STRATEGIES {
        let stage = Stage::new(strategy).await;
        let corpus = data::read("corpus", "cookies.json");
        let (mut victim, mut none, mut left_out) = (0, 0, 0);
        for entry in corpus["entries"].as_array().unwrap() {
            let (id, scheme) = (entry["id"].as_str().unwrap(), entry["scheme"].as_str().unwrap());
            let app = stage.app(scheme);
            let values = values(app, scheme).await;
            let Some(lines) = lines(entry, &values) else {
                left_out += 1;
                continue;
            };
            let (status, body) = who(app, &lines).await;
            match entry["expected"]["session"].as_str().unwrap() {
                "victim" => {
                    victim += 1;
                    assert_eq!((status, body.as_str()), (200, "victim@example.com"), "{strategy} {id}");
                }
                "none" => {
                    none += 1;
                    assert!(matches!(status, 401 | 431), "{strategy} {id}: {status} {body}");
                }
                "victim_or_none" => {
                    assert!(status == 401 || body == "victim@example.com", "{strategy} {id}: {body}");
                }
                _ => assert!(status < 500, "{strategy} {id}"),
            }
            assert!(!body.contains("attacker"), "{strategy} {id}: never the attacker");
        }
        assert!(victim >= 15 && none >= 25, "{victim} signed in, {none} not, {left_out} left out");
    }
}

#[rocket::async_test]
async fn csrf_cookies_of_the_corpus_do_not_override() {
    let stage = Stage::new("jwt").await;
    let corpus = data::read("corpus", "cookies.json");
    let mut driven = 0;
    for entry in corpus["entries"].as_array().unwrap() {
        let Some(expected) = entry["expected"]["csrf"].as_str() else {
            continue;
        };
        let (id, scheme) = (entry["id"].as_str().unwrap(), entry["scheme"].as_str().unwrap());
        if !matches!(expected, "reject" | "real_only" | "reject_forged") || id.starts_with("ck-csrf") {
            continue;
        }
        let app = stage.app(scheme);
        let values = values(app, scheme).await;
        let Some(lines) = lines(entry, &values) else {
            continue;
        };
        driven += 1;
        for (token, may_pass) in
            [("a".repeat(64), false), (values.csrf_token.clone(), expected == "real_only")]
        {
            let mut request = app.client().post("/api/auth/signout");
            for line in &lines {
                request.add_header(Header::new("Cookie", line.clone()));
            }
            request.add_header(rocket::http::ContentType::Form);
            let answer = request.body(format!("csrfToken={token}&json=true")).dispatch().await;
            let passed = answer.status().code == 200;
            assert_eq!(passed, may_pass, "{id}: {} with {token}", answer.status());
        }
    }
    assert!(driven >= 12, "{driven}");
}

#[rocket::async_test]
async fn a_rejected_cookie_touches_nobody_elses_session() {
    for strategy in crate::app::STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let mut eve = app.browser();
        let forged = format!("{}x", ada.session().unwrap());
        eve.set_cookie("next-auth.session-token", &forged);
        let answer: crate::browser::Answer = Browser::send(&mut eve, Method::Get, "/me", None).await;
        assert_eq!(answer.status, 401);
        let mut sending = eve.clone();
        sending.sign_out().await;
        assert_eq!(ada.me().await.0, 200, "{strategy}");
    }
}
