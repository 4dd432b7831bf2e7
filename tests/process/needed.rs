//! Programs of other people's that some tests need.

use std::io::Write as _;
use std::path::Path;

/// Whether a program is there. In CI it must be; elsewhere one line says what to install, and its tests are left out.
pub(crate) fn is_installed(program: &str, package: &str) -> bool {
    let there = Path::new(program).exists();
    if !there {
        let missing = format!("{program} is not installed: install Debian's package `{package}`");
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        writeln!(std::io::stderr(), "{missing}; the tests that need it are left out").ok();
    }
    there
}
