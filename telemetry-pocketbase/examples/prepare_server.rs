//! Makes a PocketBase server ready for `ship_logs`, and checks it.
//!
//! ```sh
//! export PB_ADMIN_PASSWORD=… PB_PASSWORD=…
//! cargo run -p telemetry-pocketbase --example prepare_server -- http://127.0.0.1:8090 admin@example.com
//! ```

use std::io::Write;

use telemetry_pocketbase::setup::{AdminLogin, check, prepare};
use telemetry_pocketbase::{PasswordSource, PocketBaseConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("the URL of the server is missing")?;
    let email = arguments
        .next()
        .ok_or("the address of a superuser is missing")?;
    let admin = AdminLogin {
        email,
        password: PasswordSource::Env("PB_ADMIN_PASSWORD".to_owned()).find()?,
    };
    let password = PasswordSource::Env("PB_PASSWORD".to_owned());
    let account_password = password.find()?;
    let config = PocketBaseConfig::new(url, "daemon@example.com", password, "unused");

    let mut out = std::io::stdout();
    writeln!(out, "{}", prepare(&config, &admin, &account_password)?)?;
    writeln!(out, "{}", check(&config)?)?;
    Ok(())
}
