//! A form that came from this site.

use rocket::data::{FromData, Outcome};
use rocket::form::{Form, FromForm, ValueField};
use rocket::request::local_cache;
use rocket::{Data, Ignite, Request, Rocket, Sentinel};

use super::Auth;
use super::csrf_body::{BodyKind, CsrfError, is_same_site, limit_of, read_body};
use super::csrf_token::is_vouched;

/// A urlencoded form whose field `csrfToken` is this browser's token, sent by a page of this site. There is no way to
/// the form's fields past the check: no token, no `T`.
///
/// ```
/// use countersign::{CsrfForm, Session};
/// use rocket::FromForm;
///
/// #[derive(FromForm)]
/// struct Note {
///     text: String,
/// }
///
/// #[rocket::post("/notes", data = "<form>")]
/// fn add(session: Session, form: CsrfForm<Note>) -> String {
///     format!("{} wrote {}", session.name().unwrap_or("Somebody"), form.into_inner().text)
/// }
/// ```
#[derive(Debug)]
pub struct CsrfForm<T>(T);

impl<T> CsrfForm<T> {
    /// The form.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// The form.
    pub fn get(&self) -> &T {
        &self.0
    }
}

#[rocket::async_trait]
impl<'r, T: FromForm<'r>> FromData<'r> for CsrfForm<T> {
    type Error = CsrfError;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        match checked_form(request, data).await {
            Ok(form) => Outcome::Success(Self(form)),
            Err(error) => Outcome::Error((error.status(), error)),
        }
    }
}

impl<T> Sentinel for CsrfForm<T> {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        Auth::refuses(rocket, "CsrfForm")
    }
}

async fn checked_form<'r, T: FromForm<'r>>(request: &'r Request<'_>, data: Data<'r>) -> Result<T, CsrfError> {
    let auth = request.rocket().state::<Auth>().ok_or(CsrfError::Csrf)?;
    if BodyKind::of(request)? != BodyKind::Form {
        return Err(CsrfError::ContentType);
    }
    let body = read_body(data, limit_of(request, BodyKind::Form)).await?;
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let mut tokens = fields.iter().filter(|(name, _)| name == "csrfToken").map(|(_, value)| value);
    let vouched = match (tokens.next(), tokens.next()) {
        (Some(token), None) => is_vouched(request, auth, token),
        _ => false,
    };
    if !vouched || !is_same_site(request, auth) {
        #[cfg(feature = "server")]
        super::trail::csrf_refused(request);
        return Err(CsrfError::Csrf);
    }
    // Kept with the request, so that a form may borrow from it.
    let fields: &'r [(String, String)] = local_cache!(request, fields);
    let values = fields.iter().map(|(name, value)| ValueField::from((name.as_str(), value.as_str())));
    Form::<T>::parse_iter(values).map_err(|errors| CsrfError::Shape(describe(&errors)))
}

/// Which fields do not fit, without their values.
fn describe(errors: &rocket::form::Errors<'_>) -> String {
    let names: Vec<String> =
        errors.iter().filter_map(|error| error.name.as_ref().map(ToString::to_string)).collect();
    names.join(", ")
}
