//! Makes a server ready, as a superuser.

use serde_json::{Value, json};

use super::corrections::{conflict, corrections, wanted_batch};
use super::hook::HOOK_FILE;
use super::report::{Outcome, Report};
use super::schema;
use crate::config::{PocketBaseConfig, Secret};
use crate::error::PocketBaseError;
use crate::pocketbase::bulk::{Hook, look_for_hook};
use crate::pocketbase::client::{Client, NoReply, Reply, Transport};
use crate::pocketbase::rows::records_path;
use crate::pocketbase::session::{SignInError, sign_in};

/// A superuser of the server. `Debug` shows no password.
#[derive(Debug, Clone)]
pub struct AdminLogin {
    /// E-mail address.
    pub email: String,
    /// Password.
    pub password: Secret,
}

/// Creates or corrects what the uploader of `config` needs: the collection of
/// the logs with its fields, rules and indexes, the auth collection, the
/// account `config.identity` with `account_password`, the batch settings and,
/// where rate limits are on, a rule for the logs.
///
/// Nothing is deleted, and greater limits stay as they are.
///
/// # Errors
/// [`PocketBaseError::Unreachable`], [`PocketBaseError::Refused`] with what the
/// server said, [`PocketBaseError::Conflict`] if a field of the same name has
/// another type. What was done before stays done.
pub fn prepare(
    config: &PocketBaseConfig,
    admin: &AdminLogin,
    account_password: &Secret,
) -> Result<Report, PocketBaseError> {
    config.validate_with_account()?;
    let server = Server::sign_in(Client::new(config, None)?, admin)?;
    let mut report = Report::default();
    if config.auth_collection != schema::SUPERUSERS {
        server.accounts(config, &mut report)?;
    }
    server.account(config, account_password, &mut report)?;
    server.logs(config, &mut report)?;
    server.settings(config, &mut report)?;
    server.hook(config, &mut report);
    Ok(report)
}

/// The server, with a superuser's rights.
struct Server {
    client: Client,
    token: Secret,
}

impl Server {
    fn sign_in(client: Client, admin: &AdminLogin) -> Result<Self, PocketBaseError> {
        let token = sign_in(&client, schema::SUPERUSERS, &admin.email, &admin.password);
        let token = token.map_err(|error| match error {
            SignInError::Refused(why) | SignInError::NoPassword(why) => PocketBaseError::Refused {
                what: "the superuser".to_owned(),
                status: 400,
                message: why,
            },
            SignInError::Away { reason, .. } => PocketBaseError::Unreachable {
                url: client.base().to_owned(),
                why: reason,
            },
        })?;
        Ok(Self { client, token })
    }

    /// The auth collection.
    fn accounts(
        &self,
        config: &PocketBaseConfig,
        report: &mut Report,
    ) -> Result<(), PocketBaseError> {
        let name = &config.auth_collection;
        let what = format!("auth collection {name}");
        let outcome = match self.collection(name)? {
            None => {
                self.create_collection(&what, &schema::accounts(name))?;
                Outcome::Created
            }
            Some(existing) if existing.get("type") == Some(&json!("auth")) => Outcome::Good,
            Some(_) => return Err(conflict(&what, "it is no auth collection")),
        };
        report.add(what, outcome);
        Ok(())
    }

    fn account(
        &self,
        config: &PocketBaseConfig,
        password: &Secret,
        report: &mut Report,
    ) -> Result<(), PocketBaseError> {
        let what = format!("account {}", config.identity);
        let outcome = match self.find_account(config)? {
            None if config.auth_collection == schema::SUPERUSERS => {
                return Err(conflict(&what, "there is no such superuser"));
            }
            None => {
                self.create_account(config, password, &what)?;
                Outcome::Created
            }
            Some(id) => self.set_password(config, &id, password, &what)?,
        };
        report.add(what, outcome);
        Ok(())
    }

    fn find_account(&self, config: &PocketBaseConfig) -> Result<Option<String>, PocketBaseError> {
        let literal = config.identity.replace('\\', "\\\\").replace('\'', "\\'");
        let filter = percent_encoded(&format!("email='{literal}'"));
        let path = format!(
            "{}?perPage=1&fields=id&filter={filter}",
            records_path(&config.auth_collection)
        );
        let found = self.get("the search for the account", &path)?;
        let id = found.pointer("/items/0/id").and_then(Value::as_str);
        Ok(id.map(str::to_owned))
    }

    fn create_account(
        &self,
        config: &PocketBaseConfig,
        password: &Secret,
        what: &str,
    ) -> Result<(), PocketBaseError> {
        let body = json!({
            "email": config.identity, "verified": true,
            "password": password.expose(), "passwordConfirm": password.expose(),
        });
        self.post(what, &records_path(&config.auth_collection), &body)
    }

    /// An account that can sign in is left alone: setting the same password
    /// would kill the tokens that other daemons hold.
    fn set_password(
        &self,
        config: &PocketBaseConfig,
        id: &str,
        password: &Secret,
        what: &str,
    ) -> Result<Outcome, PocketBaseError> {
        let works = sign_in(
            &self.client,
            &config.auth_collection,
            &config.identity,
            password,
        );
        if works.is_ok() {
            return Ok(Outcome::Good);
        }
        if config.auth_collection == schema::SUPERUSERS {
            return Err(conflict(what, "the superuser has another password"));
        }
        let body = json!({
            "password": password.expose(), "passwordConfirm": password.expose(),
        });
        let path = format!("{}/{id}", records_path(&config.auth_collection));
        self.patch(what, &path, &body)?;
        Ok(Outcome::Changed(
            "it has the configured password now".to_owned(),
        ))
    }

    /// The collection of the logs.
    fn logs(&self, config: &PocketBaseConfig, report: &mut Report) -> Result<(), PocketBaseError> {
        let name = &config.collection;
        let what = format!("collection {name}");
        let outcome = match self.collection(name)? {
            None => {
                let wanted = schema::logs(name, &config.auth_collection);
                self.create_collection(&what, &wanted)?;
                Outcome::Created
            }
            Some(existing) => {
                let (patch, changes) = corrections(&what, &existing, config)?;
                if changes.is_empty() {
                    Outcome::Good
                } else {
                    self.patch(&what, &format!("/api/collections/{name}"), &patch)?;
                    Outcome::Changed(changes.join(", "))
                }
            }
        };
        report.add(what, outcome);
        Ok(())
    }

    fn settings(
        &self,
        config: &PocketBaseConfig,
        report: &mut Report,
    ) -> Result<(), PocketBaseError> {
        let settings = self.get("the settings", "/api/settings")?;
        let batch = settings.get("batch").cloned().unwrap_or_default();
        let wanted = wanted_batch(&batch);
        let outcome = if wanted == batch {
            Outcome::Good
        } else {
            self.patch("the settings", "/api/settings", &json!({"batch": wanted}))?;
            Outcome::Changed("switched on, with room and time enough".to_owned())
        };
        report.add("batch requests", outcome);
        self.rate_limit(config, &settings, report)
    }

    /// A hook is a file on the server's disk: it can only be hinted at.
    fn hook(&self, config: &PocketBaseConfig, report: &mut Report) {
        let outcome = match look_for_hook(&self.client, &config.collection) {
            Hook::Usable { .. } => Outcome::Good,
            Hook::Missing => Outcome::Note(format!(
                "not there; write {HOOK_FILE} with `pocketbase files`, copy it beside pb_data and restart the server: uploads get many times faster"
            )),
            Hook::Unusable(why) | Hook::Unknown(why) => Outcome::Note(why),
        };
        report.add("hook for uploads in bulk", outcome);
    }

    /// Where rate limits are on, creates inside a batch count one by one.
    fn rate_limit(
        &self,
        config: &PocketBaseConfig,
        settings: &Value,
        report: &mut Report,
    ) -> Result<(), PocketBaseError> {
        let mut limits = settings.get("rateLimits").cloned().unwrap_or_default();
        if limits.get("enabled") != Some(&json!(true)) {
            return Ok(());
        }
        let label = format!("{}:create", config.collection);
        let what = format!("rate limit {label}");
        let Some(rules) = limits.get_mut("rules").and_then(Value::as_array_mut) else {
            report.add(what, Outcome::Note("the server shows no rules".to_owned()));
            return Ok(());
        };
        if rules
            .iter()
            .any(|rule| rule.get("label") == Some(&json!(label)))
        {
            report.add(what, Outcome::Good);
            return Ok(());
        }
        rules.push(json!({"label": label, "maxRequests": 100_000, "duration": 1, "audience": ""}));
        let body = json!({"rateLimits": limits});
        self.patch("the settings", "/api/settings", &body)?;
        report.add(what, Outcome::Created);
        Ok(())
    }

    fn collection(&self, name: &str) -> Result<Option<Value>, PocketBaseError> {
        let path = format!("/api/collections/{name}");
        let reply = self.reply(self.client.get(&path, Some(self.token.expose())))?;
        if reply.status == 404 {
            return Ok(None);
        }
        accepted(&format!("to show {name}"), &reply)?;
        Ok(Some(parsed(&reply)))
    }

    fn create_collection(&self, what: &str, wanted: &Value) -> Result<(), PocketBaseError> {
        self.post(what, "/api/collections", wanted)
    }

    fn get(&self, what: &str, path: &str) -> Result<Value, PocketBaseError> {
        let reply = self.reply(self.client.get(path, Some(self.token.expose())))?;
        accepted(what, &reply)?;
        Ok(parsed(&reply))
    }

    fn post(&self, what: &str, path: &str, body: &Value) -> Result<(), PocketBaseError> {
        let (token, body) = (Some(self.token.expose()), body.to_string());
        let reply = self.reply(self.client.post(path, token, body.as_bytes()))?;
        accepted(what, &reply)
    }

    fn patch(&self, what: &str, path: &str, body: &Value) -> Result<(), PocketBaseError> {
        let (token, body) = (Some(self.token.expose()), body.to_string());
        let reply = self.reply(self.client.patch(path, token, body.as_bytes()))?;
        accepted(what, &reply)
    }

    fn reply(&self, reply: Result<Reply, NoReply>) -> Result<Reply, PocketBaseError> {
        reply.map_err(|error| PocketBaseError::Unreachable {
            url: self.client.base().to_owned(),
            why: error.reason().to_owned(),
        })
    }
}

fn accepted(what: &str, reply: &Reply) -> Result<(), PocketBaseError> {
    if (200..300).contains(&reply.status) {
        return Ok(());
    }
    let body = parsed(reply);
    let message = body.get("message").and_then(Value::as_str);
    let data = body.get("data").filter(|data| data != &&json!({}));
    Err(PocketBaseError::Refused {
        what: what.to_owned(),
        status: reply.status,
        message: match (message, data) {
            (Some(message), Some(data)) => format!("{message} {data}"),
            (Some(message), None) => message.to_owned(),
            _ => "it gave no reason".to_owned(),
        },
    })
}

fn parsed(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).unwrap_or_default()
}

fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_percent_encoded() {
        assert_eq!(percent_encoded("a='b+c@d'"), "a%3D%27b%2Bc%40d%27");
    }
}
