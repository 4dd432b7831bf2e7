//! The library's own pages: templates, languages, assets.
//!
//! The pages are embedded, so that one binary runs anywhere, and a host overrides one by having a file of the same name
//! below its `template_dir`: `templates/auth/sign_in.html` replaces the sign-in page, `templates/auth/locales/fr.json`
//! adds French.
//!
//! # A host's own pages
//! A host that has templates of its own may have them rendered by the same engine: it gives them to
//! [`Countersign::templates`](crate::Countersign::templates), takes a [`PageContext`] in a handler and returns
//! [`PageContext::render`]'s [`Page`]. That is faster than `rocket_dyn_templates`, which copies the context twice, and the
//! texts in the person's language are there. A [`PageContext`] can be given to any other engine as well.
//!
//! # Why a private Tera
//! `rocket_dyn_templates` may be attached once, and belongs to the host; it strips extensions from names, and Tera
//! escapes by name. Here every template is named `*.html`, so everything is escaped, and nothing of the host's is
//! touched. For the same reason the files end in `.html` and not in `.tera`: the host's engine, which loads every `.tera`
//! file it finds, leaves them alone, and an overriding page may extend an embedded one.

mod assets;
mod context;
mod language;
mod letters;
mod render;
mod reuse;
mod templates;

pub use assets::{Asset, Assets};
pub(crate) use context::language_of;
pub use context::{PageContext, PageError};
pub use language::{Language, Locales};
pub use letters::Letters;
pub use render::Page;
pub use templates::{LoadError, Pages, fill_filter};
