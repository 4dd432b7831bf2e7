//! The site's templates: embedded, so that one binary runs anywhere, and overridden by files of the same name.

use std::error::Error;
use std::path::PathBuf;

use include_dir::{Dir, include_dir};
use rocket::fairing::Fairing;
use rocket::figment::Figment;
use rocket_dyn_templates::{Engines, Template};

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates/site");

/// Where overriding templates are looked for when there is no `templates` folder: it must exist.
const OWN_FOLDER: &str = "data/templates";

/// The template engine with the embedded templates in it.
pub(crate) fn fairing() -> impl Fairing {
    Template::try_custom(add_embedded)
}

/// Rocket's template engine insists on a folder. Next to a bare binary there is none, so one is made.
pub(crate) fn with_folder(figment: Figment) -> Figment {
    let configured = figment.find_value("template_dir").is_ok();
    if configured || PathBuf::from("templates").is_dir() || std::fs::create_dir_all(OWN_FOLDER).is_err() {
        return figment;
    }
    figment.merge(("template_dir", OWN_FOLDER))
}

fn add_embedded(engines: &mut Engines) -> Result<(), Box<dyn Error>> {
    engines.tera.register_filter("fill", countersign::pages::fill_filter);
    // Every template here is HTML. Tera escapes by the ending of a name, and these names have none.
    engines.tera.autoescape_on(vec![""]);
    let missing = EMBEDDED.files().filter_map(|file| {
        let name = file.path().to_str()?.strip_suffix(".html.tera")?;
        let name = format!("site/{name}");
        let has_file = engines.tera.get_template_names().any(|known| known == name);
        (!has_file).then(|| Some((name, file.contents_utf8()?))).flatten()
    });
    let missing: Vec<(String, &str)> = missing.collect();
    engines.tera.add_raw_templates(missing)?;
    Ok(())
}
