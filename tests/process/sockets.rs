//! The corpus of hostile input over real sockets: redirects, `Cookie` headers and names, byte for byte, to a running
//! service. Each has its controls, so that a service which rejects everything fails.

use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::data;
use crate::service::{CHEAP, SECRET, Service, run};
use crate::wire::{Reply, Wire, request};

const BOTTOMLESS: [(&str, &str); 2] =
    [("COUNTERSIGN_LIMITS__SIGN_UPS_PER_ADDRESS", "1000000"), ("COUNTERSIGN_LIMITS__PER_ADDRESS", "1000000")];

/// A service of a site's own, and what must live as long.
struct Site {
    service: Service,
    folder: TempDir,
    secure: bool,
}

impl Site {
    fn at(url: &str, more: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut variables = vec![("COUNTERSIGN_URL", url), ("COUNTERSIGN_SECRET", SECRET)];
        variables.extend(CHEAP);
        variables.extend(BOTTOMLESS);
        variables.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        variables.extend(more);
        let service = Service::start(folder.path(), &variables);
        Self { service, folder, secure: url.starts_with("https") }
    }

    fn wire(&self) -> Wire {
        Wire::to(self.service.port)
    }

    /// The name of a cookie, with the prefix that this site's scheme gives it.
    fn name(&self, plain: &str) -> String {
        let prefix = match (self.secure, plain) {
            (false, _) => "",
            (true, "next-auth.csrf-token") => "__Host-",
            (true, _) => "__Secure-",
        };
        format!("{prefix}{plain}")
    }
}

fn entries(name: &str) -> Vec<Value> {
    data::read("corpus", name)["entries"].as_array().unwrap().clone()
}

/// A payload as text; `None` for those that are raw pieces of a request.
fn payload(entry: &Value) -> Option<String> {
    match &entry["payload"] {
        Value::String(text) => Some(text.clone()),
        Value::Object(parts) if parts.contains_key("repeat") => {
            let text = |name: &str| parts.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            Some(text("prefix") + &repeated(&parts["repeat"]) + &text("suffix"))
        }
        _ => None,
    }
}

fn repeated(repeat: &Value) -> String {
    let times = usize::try_from(repeat[1].as_u64().unwrap()).unwrap();
    repeat[0].as_str().unwrap().repeat(times)
}

/// What holds for every `Location` that is ever sent.
fn stays_on_the_site(id: &str, base: &str, location: &str) {
    assert!(location.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b'\\'), "{id}: {location:?}");
    let base = Url::parse(base).unwrap();
    assert_eq!(base.join(location).unwrap().origin(), base.origin(), "{id}: {location}");
}

/// Signs out with a payload, by every way in: the answer says where people go.
fn by_every_way(
    site: &Site,
    wire: &mut Wire,
    pair: &(String, String),
    payload: &str,
) -> Vec<(&'static str, Reply)> {
    let encoded = countersign::session::encode_component(payload);
    let (cookie, token) = pair;
    let token_field = ("csrfToken", token.as_str());
    let remembered = format!("{cookie}; {}={encoded}", site.name("next-auth.callback-url"));
    let object = json!({ "csrfToken": token, "callbackUrl": payload }).to_string();
    let target = format!("/api/auth/signout?callbackUrl={encoded}");
    let mut answers = vec![
        ("query", wire.post(&target, cookie, &[token_field])),
        ("form", wire.post("/api/auth/signout", cookie, &[token_field, ("callbackUrl", payload)])),
        ("json", wire.post_json("/api/auth/signout", cookie, &object)),
        ("cookie", wire.post("/api/auth/signout", &remembered, &[token_field])),
    ];
    if payload.bytes().all(|byte| byte.is_ascii_graphic()) {
        let kind: (&str, &[u8]) = ("Content-Type", b"application/x-www-form-urlencoded");
        let headers = [kind, ("Cookie", cookie.as_bytes()), ("Referer", payload.as_bytes())];
        let body = format!("csrfToken={token}");
        answers
            .push(("referer", wire.send(&request("POST", "/api/auth/signout", &headers, body.as_bytes()))));
    }
    answers
        .into_iter()
        .map(|(way, answer)| (way, answer.unwrap_or_else(|| panic!("closed by {way}: {payload:?}"))))
        .collect()
}

#[test]
fn redirects_lead_home_by_every_way() {
    let (mut allowed, mut rejected, mut raw) = (0, 0, 0);
    let all = entries("open_redirects.json");
    let mut bases: Vec<&str> = all.iter().map(|entry| entry["base_url"].as_str().unwrap()).collect();
    bases.sort_unstable();
    bases.dedup();
    for base in bases {
        let site = Site::at(base, &[]);
        let mut wire = site.wire();
        let pair = wire.pair();
        for entry in all.iter().filter(|entry| entry["base_url"] == base) {
            let id = entry["id"].as_str().unwrap();
            let Some(payload) = payload(entry) else {
                raw += 1;
                raw_part(&mut wire, &pair, base, id, entry["payload"]["raw_request_part"].as_str().unwrap());
                continue;
            };
            for (way, answer) in by_every_way(&site, &mut wire, &pair, &payload) {
                // A payload beyond what a header or body may hold never gets as far as being judged.
                if entry["category"] == "size" && [413, 414, 431].contains(&answer.status) {
                    continue;
                }
                assert_eq!(answer.status, 302, "{id} by {way}: {}", answer.body);
                let location = answer.header("location");
                stays_on_the_site(id, base, location);
                let action = entry["expected"]["action"].as_str().unwrap();
                if way == "referer" {
                    assert_eq!(location, base, "{id}: nobody is sent where they came from");
                } else if action == "allow" {
                    let expected = Url::parse(entry["expected"]["location"].as_str().unwrap()).unwrap();
                    assert_eq!(Url::parse(location).unwrap(), expected, "{id} by {way}");
                    allowed += 1;
                } else if action == "reject" {
                    assert_eq!(location, base, "{id} by {way}");
                    let kept = answer.cookie("callback-url").unwrap_or_default();
                    assert!(!kept.contains("evil"), "{id} by {way}: {kept}");
                    rejected += 1;
                }
            }
        }
        assert!(wire.opened() < 40, "{} connections: the server closed too often", wire.opened());
    }
    assert!(allowed >= 40 && rejected >= 300 && raw > 0, "{allowed} allowed, {rejected} rejected, {raw} raw");
}

/// A piece of a request, sent as it is.
fn raw_part(wire: &mut Wire, (cookie, token): &(String, String), base: &str, id: &str, part: &str) {
    let answer = if part.starts_with('?') {
        wire.post(&format!("/api/auth/signout{part}"), cookie, &[("csrfToken", token)])
    } else {
        let body = part.replacen('{', &format!("{{\"csrfToken\":\"{token}\","), 1);
        wire.post_json("/api/auth/signout", cookie, &body)
    };
    let answer = answer.unwrap();
    assert!((300..500).contains(&answer.status), "{id}: {}", answer.status);
    if answer.status == 302 {
        stays_on_the_site(id, base, answer.header("location"));
    }
}

/// The placeholders of the cookie corpus, and what stands for them on one site.
struct Stage {
    site: Site,
    values: Vec<(&'static str, String)>,
    token: String,
}

fn digest(text: &str) -> String {
    use sha2::Digest as _;
    countersign::secret::hex(&sha2::Sha256::digest(text))
}

impl Stage {
    fn new(url: &str, strategy: &str) -> Self {
        let old = "an-older-secret-0123456789-abcdefghijklmnopq";
        let ring = format!("[\"{SECRET}\",\"{old}\"]");
        let more = [("COUNTERSIGN_SESSION__STRATEGY", strategy), ("COUNTERSIGN_SECRET", ring.as_str())];
        let site = Site::at(url, &more);
        let mut wire = site.wire();
        let value = |pair: &str| pair.split_once('=').unwrap().1.to_owned();
        let victim = value(&wire.enter("victim@example.com"));
        let attacker = value(&wire.enter("attacker@example.com"));
        let gone = value(&wire.enter("gone@example.com"));
        let disabled = run(
            site.folder.path(),
            &["user", "disable", "gone@example.com"],
            &[("COUNTERSIGN_SECRET", SECRET)],
        );
        assert!(disabled.status.success());
        // The command is another process: the service hears of it within the bound.
        let since = std::time::Instant::now();
        let pair = format!("{}={gone}", site.name("next-auth.session-token"));
        while wire.get("/api/get-session-example", &[("Cookie", pair.as_bytes())]).unwrap().status == 200 {
            assert!(since.elapsed() < countersign::session::STALE_AFTER, "whoever is disabled goes on");
        }
        let (others, _) = wire.pair();
        let (cookie, token) = wire.pair();
        let hash = value(&cookie).split_once("%7C").unwrap().1.to_owned();
        let halves = |text: &str| (text[..text.len() / 2].to_owned(), text[text.len() / 2..].to_owned());
        let ((v0, v1), (a0, a1)) = (halves(&victim), halves(&attacker));
        let percent = victim.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
        let values = vec![
            ("{SN}", site.name("next-auth.session-token")),
            ("{CN}", site.name("next-auth.csrf-token")),
            ("{VICTIM_PCT2}", percent.replace('%', "%25")),
            ("{VICTIM_PCT}", percent),
            ("{VICTIM_UPPER}", victim.to_uppercase()),
            ("{VICTIM_TRAILING_SPACE}", format!("{victim}%20")),
            ("{VICTIM}", victim),
            ("{ATTACKER_VALID_CSRF}", value(&others)),
            ("{ATTACKER}", attacker),
            ("{V0}", v0),
            ("{V1}", v1),
            ("{A0}", a0),
            ("{A1}", a1),
            ("{FORGED_CSRF}", format!("{}%7C{}", "a".repeat(64), "b".repeat(64))),
            ("{CSRF}", value(&cookie)),
            ("{MAGIC_LINK_TOKEN}", "f".repeat(64)),
            ("{DELETED_USER}", gone),
            ("{OTHER_SALT_JWE}", "x.y.z".to_owned()),
            ("{HASH_UNDEFINED}", digest(&format!("undefined{SECRET}"))),
            ("{HASH_OLD_SECRET}", digest(&format!("{token}{old}"))),
            ("{H_WITHOUT_SECRET}", digest(&token)),
            ("{H_UPPER}", hash.to_uppercase()),
            ("{HASH_A_PLUS_FIRST_SECRET_CHAR}", hash.clone()),
            ("{A}", format!("{token}{}", &SECRET[..1])),
            ("{T_UPPER}", token.to_uppercase()),
            ("{T}", token.clone()),
            ("{H}", hash),
        ];
        Self { site, values, token }
    }

    fn value(&self, name: &str) -> &str {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str()).unwrap()
    }

    /// The header lines of an entry, byte for byte, with the placeholders filled in.
    fn lines(&self, entry: &Value) -> Vec<Vec<u8>> {
        let raw = entry["headers_b64"].as_array().map(|lines| lines.iter().map(decode).collect::<Vec<_>>());
        let packed = || {
            let lines = entry["headers_zlib_b64"].as_array().unwrap().iter();
            lines.map(|line| miniz_oxide::inflate::decompress_to_vec_zlib(&decode(line)).unwrap()).collect()
        };
        let fill = |line: Vec<u8>| {
            // Latin-1 holds every byte, so nothing but the placeholders changes.
            let mut text: String = line.into_iter().map(char::from).collect();
            for (name, value) in &self.values {
                text = text.replace(name, value);
            }
            text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect()
        };
        raw.unwrap_or_else(packed).into_iter().map(fill).collect()
    }
}

fn decode(text: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap()
}

#[test]
fn cookie_headers_of_the_corpus() {
    for strategy in ["jwt", "database"] {
        let stages =
            [Stage::new("https://app.example.com", strategy), Stage::new("http://localhost:8000", strategy)];
        let (mut victim, mut none) = (0, 0);
        for entry in entries("cookies.json") {
            let (id, scheme) = (entry["id"].as_str().unwrap(), entry["scheme"].as_str().unwrap());
            let stage = &stages[usize::from(scheme == "http")];
            let mut wire = stage.site.wire();
            let lines = stage.lines(&entry);
            let headers: Vec<(&str, &[u8])> = lines.iter().map(|line| ("Cookie", line.as_slice())).collect();
            let answer = wire.get("/api/get-session-example", &headers);
            // Closed without an answer: the header was more than the server reads.
            let status = answer.as_ref().map_or(431, |answer| answer.status);
            let who = answer
                .as_ref()
                .map(|answer| answer.json()["user"]["email"].as_str().unwrap_or("nobody").to_owned());
            let is_victim = (status, who.as_deref()) == (200, Some("victim@example.com"));
            let is_nobody = matches!(status, 400 | 401 | 431);
            let is_text = lines.iter().all(|line| std::str::from_utf8(line).is_ok());
            match entry["expected"]["session"].as_str().unwrap() {
                "victim" if is_text && id != "ck-bytes-006" => {
                    assert!(is_victim, "{strategy} {id}: {status} {who:?}");
                    victim += 1;
                }
                "none" => {
                    assert!(is_nobody, "{strategy} {id}: {status} {who:?}");
                    none += 1;
                }
                // Rocket drops a line that is no text, and hyper refuses control characters: signed out for this once.
                _ => assert!(is_victim || is_nobody, "{strategy} {id}: {status} {who:?}"),
            }
            for cookie in answer.iter().flat_map(|answer| answer.headers("set-cookie")) {
                assert!(!cookie.contains("session-token"), "{strategy} {id}: {cookie}");
            }
            let genuine = format!("{}={}", stage.value("{SN}"), stage.value("{VICTIM}"));
            let next = wire.get("/api/get-session-example", &[("Cookie", genuine.as_bytes())]).unwrap();
            assert_eq!(next.status, 200, "{strategy} {id}: the next request");
        }
        assert!(victim >= 25 && none >= 60, "{victim} signed in, {none} not");
    }
}

/// The token that a form repeats for an entry of the corpus about CSRF; the whole request where it is not that alone.
fn csrf_request(stage: &Stage, id: &str, headers: &[(&str, &[u8])]) -> Vec<u8> {
    let token = match id {
        "ck-csrf-002" => "0".repeat(64),
        "ck-csrf-003" => String::new(),
        "ck-csrf-006" => "undefined".to_owned(),
        "ck-csrf-012" => stage.value("{T_UPPER}").to_owned(),
        "ck-csrf-016" => stage.value("{A}").to_owned(),
        _ => stage.token.clone(),
    };
    let (target, kind, body) = match id {
        "ck-csrf-004" => {
            ("/api/auth/signout".to_owned(), "application/x-www-form-urlencoded", "json=true".to_owned())
        }
        "ck-csrf-018" => (
            format!("/api/auth/signout?csrfToken={token}"),
            "application/x-www-form-urlencoded",
            "json=true".to_owned(),
        ),
        "ck-csrf-020" => {
            ("/api/auth/signout".to_owned(), "text/plain", format!("csrfToken={token}&json=true"))
        }
        "ck-csrf-021" => (
            "/api/auth/signout".to_owned(),
            "application/json",
            json!({ "csrfToken": [token], "json": "true" }).to_string(),
        ),
        _ => (
            "/api/auth/signout".to_owned(),
            "application/x-www-form-urlencoded",
            format!("csrfToken={token}&json=true"),
        ),
    };
    let all: Vec<(&str, &[u8])> =
        headers.iter().copied().chain([("Content-Type", kind.as_bytes())]).collect();
    request("POST", &target, &all, body.as_bytes())
}

#[test]
fn csrf_cookies_of_the_corpus() {
    let stages = [Stage::new("https://app.example.com", "jwt"), Stage::new("http://localhost:8000", "jwt")];
    let (mut passed, mut refused) = (0, 0);
    for entry in entries("cookies.json") {
        let Some(expected) = entry["expected"]["csrf"].as_str() else { continue };
        let (id, scheme) = (entry["id"].as_str().unwrap(), entry["scheme"].as_str().unwrap());
        let stage = &stages[usize::from(scheme == "http")];
        let lines = stage.lines(&entry);
        let headers: Vec<(&str, &[u8])> = lines.iter().map(|line| ("Cookie", line.as_slice())).collect();
        let mut wire = stage.site.wire();
        let mut answer = |bytes: &[u8]| wire.send(bytes).map_or(400, |answer| answer.status);
        let forged = {
            let kind: (&str, &[u8]) = ("Content-Type", b"application/x-www-form-urlencoded");
            let all: Vec<(&str, &[u8])> = headers.iter().copied().chain([kind]).collect();
            request(
                "POST",
                "/api/auth/signout",
                &all,
                format!("csrfToken={}&json=true", "a".repeat(64)).as_bytes(),
            )
        };
        let status = answer(&forged);
        assert!((400..500).contains(&status), "{id} with a forged token: {status}");
        let status = answer(&csrf_request(stage, id, &headers));
        match expected {
            "ok" | "ok_if_rotation" | "real_only" => {
                assert_eq!(status, 200, "{id}");
                passed += 1;
            }
            "reject" | "reject_forged" => {
                assert!((400..500).contains(&status), "{id}: {status}");
                refused += 1;
            }
            _ => assert!(status < 500, "{id}: {status}"),
        }
    }
    assert!(passed >= 4 && refused >= 20, "{passed} passed, {refused} refused");
}
