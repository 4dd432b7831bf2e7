//! The command line.

mod commands;
mod site;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    commands::init_logging();
    let command = commands::Cli::parse().command.unwrap_or_default();
    rocket::async_main(commands::run(command))
}
