//! Everything that is logged at debug level while the suite runs, searched for every secret it used.
//!
//! Every application of the suite has an [`Eavesdropper`], who notes what is sent and answered, and a [`Watch`], which
//! searches what was logged during its life when it ends. So every test is one of this, too.

use std::collections::{HashMap, HashSet};
use std::io::{Cursor, Write};
use std::sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError};

use rocket::fairing::{Fairing, Info, Kind};
use rocket::{Data, Request, Response};
use scraper::{Html, Selector};
use serde_json::Value;
use tracing_subscriber::filter::LevelFilter;

use crate::browser::Steps as _;

/// Shorter texts of letters alone are found by chance: "password" is a column.
const LONG: usize = 12;

#[derive(Default)]
struct Said {
    log: Vec<u8>,
    known: HashSet<String>,
    secrets: Vec<String>,
}

static SAID: LazyLock<Mutex<Said>> = LazyLock::new(Mutex::default);

fn said() -> MutexGuard<'static, Said> {
    SAID.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What every application of the suite has to keep to itself. The tokens are those of the local site to sign in with.
const ALWAYS: [&str; 5] = [
    crate::app::SECRET,
    crate::browser::PASSWORD,
    countersign::testing::OpenIdProvider::CLIENT_SECRET,
    "access-1",
    "refresh-1",
];

/// Notes a password, a token or the value of a cookie, as it is and as forms and URLs spell it.
pub(crate) fn secret(text: &str) {
    let distinct: HashSet<char> = text.chars().collect();
    let word = text.chars().all(|letter| letter.is_alphabetic() || letter.is_whitespace());
    // Somebody tries their own address for a password, which is refused.
    let address = countersign::model::Email::parse(text).is_ok();
    if address || distinct.len() < 5 || text.len() < 8 || (word && text.len() < LONG) {
        return;
    }
    let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let mut said = said();
    for spelling in [text.to_owned(), encoded.replace('+', "%20"), encoded] {
        if said.known.insert(spelling.clone()) {
            said.secrets.push(spelling);
        }
    }
}

/// Whether it was noted.
pub(crate) fn is_known(text: &str) -> bool {
    said().known.contains(text)
}

/// Notes the link and the code of a mail.
pub(crate) fn mailed(mail: &countersign::mail::Mail) {
    mail.link().into_iter().for_each(link);
    mail.code().as_deref().into_iter().for_each(secret);
}

/// Notes what the other site was told: the code that it gave, and the verifier of PKCE.
pub(crate) fn told_to(site: &countersign::testing::OpenIdProvider) {
    for request in site.requests().iter().filter(|request| request.path == "/token") {
        let fields = ["code", "code_verifier", "refresh_token"].map(|name| request.field(name));
        fields.iter().flatten().for_each(|value| secret(value));
        request
            .header("authorization")
            .into_iter()
            .for_each(|header| secret(header.trim_start_matches("Basic ")));
    }
}

/// Notes the secrets in a URL's query.
fn link(url: &str) {
    let query = url.split_once('?').map_or("", |(_, rest)| rest.split('#').next().unwrap_or_default());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if is_secret(&name) {
            secret(&value);
        }
    }
}

/// Notes what a page shows once or carries to the next request.
fn page(html: &str) {
    const SHOWN: &str = "code.secret, .codes code, input[name=token], input[name=secret]";
    // Few pages do, and reading all of them takes long.
    if ["\"secret\"", "\"codes\"", "name=\"token\""].iter().any(|part| html.contains(part)) {
        for found in Html::parse_document(html).select(&Selector::parse(SHOWN).unwrap()) {
            secret(&found.text().collect::<String>());
            found.attr("value").into_iter().for_each(secret);
        }
    }
}

/// Hears passwords, tokens, codes and cookies on their way, in both directions. What a passkey signs is not among them: it is
/// good for one challenge, whose cookie is.
pub(crate) struct Eavesdropper;

#[rocket::async_trait]
impl Fairing for Eavesdropper {
    fn info(&self) -> Info {
        Info { name: "Eavesdropper", kind: Kind::Request | Kind::Response }
    }

    async fn on_request(&self, request: &mut Request<'_>, data: &mut Data<'_>) {
        for (name, value) in request.headers().get("cookie").flat_map(pairs) {
            cookie(name, value);
        }
        for header in request.headers().get("authorization") {
            secret(header.trim_start_matches("Bearer "));
        }
        if request.uri().path().ends_with("/_log") {
            // Its `code` names an error of a browser's.
            return;
        }
        link(&request.uri().to_string());
        let body = data.peek(512).await;
        let form = url::form_urlencoded::parse(body).map(|(name, value)| (name.into(), value.into()));
        let json: serde_json::Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        let json = json.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
        let fields: Vec<(String, String)> = form.chain(json).collect();
        fields.iter().filter(|(name, _)| is_secret(name)).for_each(|(_, value)| secret(value));
    }

    async fn on_response<'r>(&self, _: &'r Request<'_>, response: &mut Response<'r>) {
        for (name, value) in response.headers().get("set-cookie").filter_map(|header| pairs(header).next()) {
            cookie(name, value);
        }
        response.headers().get("location").for_each(link);
        let kind = response.content_type().unwrap_or_default();
        if !(kind.is_html() || kind.is_json()) {
            return;
        }
        let text = response.body_mut().to_string().await.unwrap();
        if kind.is_html() {
            page(&text);
        } else {
            let json: Value = serde_json::from_str(&text).unwrap_or_default();
            json["url"].as_str().into_iter().for_each(link);
        }
        response.set_sized_body(text.len(), Cursor::new(text));
    }
}

fn pairs(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split("; ").filter_map(|pair| pair.split_once('='))
}

/// Whether a field of a form, or of a query, is nobody else's to know.
fn is_secret(field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    ["password", "token", "code", "secret", "state", "nonce", "verifier"]
        .iter()
        .any(|part| field.contains(part))
}

/// Notes the value of a cookie that is a secret: every one but where to go next, and in which language.
fn cookie(name: &str, value: &str) {
    if !name.contains("callback-url") && !name.contains("lang") {
        secret(value);
        // A CSRF cookie holds the token and its hash.
        value.split("%7C").chain(value.split('|')).for_each(secret);
    }
}

/// What has been logged so far.
pub(crate) fn logged() -> String {
    String::from_utf8_lossy(&said().log).into_owned()
}

struct Writer;

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        said().log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Searches what is logged during its life when it ends.
pub(crate) struct Watch {
    log_from: usize,
    secrets_from: usize,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            let subscriber = tracing_subscriber::fmt().json().with_writer(|| Writer);
            subscriber.with_max_level(LevelFilter::DEBUG).init();
            ALWAYS.into_iter().for_each(secret);
        });
        let said = said();
        Self { log_from: said.log.len(), secrets_from: said.secrets.len() }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let said = said();
        let secrets = said.secrets[self.secrets_from..].iter().map(String::as_str).chain(ALWAYS);
        let found = search(&said.log[self.log_from..], secrets);
        drop(said);
        assert!(found.is_none(), "a secret was logged: {}", found.unwrap_or_default());
    }
}

/// The line that holds one of the secrets.
pub(crate) fn search<'a>(log: &[u8], secrets: impl Iterator<Item = &'a str>) -> Option<String> {
    let start = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let place = |start: u32| (start.wrapping_mul(0x9e37_79b1) >> 16) as usize;
    // Most places of a log begin no secret, which one look tells.
    let mut begins = vec![false; 1 << 16];
    let mut by_start: HashMap<u32, Vec<&[u8]>> = HashMap::new();
    for secret in secrets.map(str::as_bytes) {
        begins[place(start(secret))] = true;
        by_start.entry(start(secret)).or_default().push(secret);
    }
    for (at, window) in log.windows(4).enumerate() {
        let key = start(window);
        if !begins[place(key)] {
            continue;
        }
        let candidates = by_start.get(&key).into_iter().flatten();
        if let Some(secret) = candidates.into_iter().find(|secret| stands_at(log, at, secret)) {
            let from = log[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let to = log[at..].iter().position(|byte| *byte == b'\n').map_or(log.len(), |end| at + end);
            let (line, secret) = (String::from_utf8_lossy(&log[from..to]), String::from_utf8_lossy(secret));
            return Some(format!("{secret:?} in {line}"));
        }
    }
    None
}

/// Whether a log holds a secret at this place. Digits in the middle of a longer word are chance: there are not enough codes for
/// none of them to be in some hash; and a statement that takes no time takes `0.00003147` seconds, as many as some code has.
fn stands_at(log: &[u8], at: usize, secret: &[u8]) -> bool {
    if !log[at..].starts_with(secret) {
        return false;
    }
    let goes_on = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let within_a_word = goes_on(log[..at].last()) || goes_on(log.get(at + secret.len()));
    let is_a_time = log[..at].ends_with(b"\"elapsed_secs\":0.");
    !((within_a_word || is_a_time) && secret.iter().all(u8::is_ascii_digit))
}

// ASVS: 16.2.5
#[test]
fn a_secret_in_a_log_is_found() {
    let log = b"one\n{\"message\":\"x hunter2hunter2\"}\nthree eyJhbGciOi.tail";
    let found = |secret: &'static str| search(log, [secret, "not there at all"].into_iter());
    assert!(found("hunter2hunter2").unwrap().ends_with("in {\"message\":\"x hunter2hunter2\"}"));
    assert!(found("eyJhbGciOi.tail").is_some());
    assert_eq!(found("eyJhbGciOi.tails"), None);
    let codes = b"{\"hash\":\"b414365099d19\",\"code\":\"27182818\",\"message\":\"take 31415926.\"}";
    let found = |code: &'static str| search(codes, [code].into_iter()).is_some();
    assert!(found("27182818") && found("31415926"));
    assert!(!found("14365099"), "a hash happens to hold any digits");
    let times = b"{\"elapsed_secs\":0.00003147,\"cost\":0.00002718}";
    let found = |code: &'static str| search(times, [code].into_iter()).is_some();
    assert!(!found("00003147"), "so does a time");
    assert!(found("00002718"));
}

/// The control: what is searched is the log of the very applications of the suite.
#[rocket::async_test]
async fn what_an_application_logs_is_what_is_searched() {
    let app = crate::app::App::new("jwt").await;
    let ada = app.browser().enter("logged@example.com").await;
    let user = app.user("logged@example.com").await.unwrap().id.to_string();
    let log = logged();
    let line = log.lines().find(|line| line.contains("sign_in.succeeded") && line.contains(&user)).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["target"], "countersign::audit");
    assert!(log.contains("INSERT INTO audit_records"), "debug level: statements, too");
    let said = said();
    assert!(said.known.contains(ada.session().unwrap()) && said.known.contains(crate::browser::PASSWORD));
}

// ASVS: 16.2.2, 16.2.4, 16.4.1
/// Every line is one JSON object, whatever people are called and whatever they send.
#[rocket::async_test]
async fn every_line_is_json_whatever_is_sent() {
    let app = crate::app::App::new("database").await;
    let hostile = "evil\u{1b}[31m\n{\"level\":\"ERROR\"}\r\u{7}\u{202e}";
    let mut eve = app.browser().enter("hostile@example.com").await;
    for text in [hostile, "\n\n", "\u{1b}]0;x\u{7}"] {
        let token = eve.csrf().await;
        eve.form("/api/auth/account/name", &[("csrfToken", &token), ("name", text)]).await;
        eve.try_sign_in(text, "a wrong password").await;
        eve.form("/api/auth/_log", &[("level", "error"), ("code", text), ("message", text)]).await;
        eve.get(&format!(
            "/api/auth/error?error={}",
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
        ))
        .await;
    }
    app.audit_records().await;
    let log = logged();
    assert!(!log.contains('\u{1b}') && !log.contains('\r') && !log.contains('\u{7}'));
    let mut lines = 0;
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let time = line["timestamp"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.contains('T'), "{time}");
        lines += 1;
    }
    assert!(lines > 20);
}
