//! `countersign reseal`.

use countersign::secret::Secrets;
use countersign::server::open_store;
use countersign::signin::Resealing;

use super::{config, say};

/// Seals everything anew that another secret than the first has sealed, and says what came of it.
pub(super) async fn run() -> Result<(), String> {
    let config = config()?;
    let store = open_store(&config).await.map_err(|error| error.to_string())?;
    let outcome = match store.check_schema().await {
        Ok(()) => {
            let resealing = Resealing::new(store.clone(), &Secrets::new(config.secrets));
            resealing.run().await.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    store.close().await;
    let report = outcome?;
    say(&format!(
        "Sealed anew: {} tokens of other sites, {} secrets of time-based codes.",
        report.tokens.renewed, report.totp.renewed
    ));
    if report.lost() > 0 {
        say(&format!(
            "No secret of the list opens {} tokens and {} secrets of time-based codes. If the secret that sealed them \
             is still at hand, put it at the end of the list and run this again; else those people link the other site, \
             or set up their codes, anew.",
            report.tokens.lost, report.totp.lost
        ));
    }
    say(
        "Everything that can be read is sealed by the first secret of the list. The others may leave once every instance signs by it.",
    );
    Ok(())
}
