//! The command line.

mod commands;
mod site;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    commands::init_logging();
    let command = commands::Cli::parse().command.unwrap_or_default();
    let runtime = match rocket::tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return commands::fail(&format!("the runtime cannot start: {error}")),
    };
    runtime.block_on(commands::run(command))
}
