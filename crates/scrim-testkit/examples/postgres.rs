//! `cargo x test` starts this: a PostgreSQL server for all tests. It prints what the tests need in
//! their environment, and runs until its input is closed.
#![expect(clippy::print_stdout, reason = "who started it reads it")]

use std::io;

use scrim_testkit::postgres::Postgres;

fn main() -> io::Result<()> {
    let server = Postgres::start();
    for (name, value) in server.environment() {
        println!("{name}={value}");
    }
    println!();
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
