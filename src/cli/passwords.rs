//! Passwords of databases from the environment or from the person at the terminal.

use std::io::IsTerminal as _;

use crate::crypto::Secret;
use crate::model::Lang;
use crate::ops::Passwords;

/// `SEALPORT_PASSWORD_<SOURCE>`, then a prompt that shows nothing of what is typed.
pub(super) struct FromUser {
    /// Language of the prompt.
    pub(super) lang: Lang,
}

impl Passwords for FromUser {
    fn given(&self, source: &str) -> Option<Secret> {
        let value = std::env::var(variable(source)).ok()?;
        Some(Secret::new(value.into_bytes()))
    }

    fn ask(&self, source: &str) -> Option<Secret> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        let prompt = match self.lang {
            Lang::Zh => format!("数据库 {source} 的密码："),
            Lang::En => format!("password of the database {source}: "),
        };
        rpassword::prompt_password(prompt).ok().map(|text| Secret::new(text.into_bytes()))
    }
}

/// The name of the source in capitals, everything but letters and digits as `_`.
fn variable(source: &str) -> String {
    let name: String =
        source.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    format!("SEALPORT_PASSWORD_{name}")
}

#[cfg(test)]
mod tests {
    use super::variable;

    /// Source names become names of variables that every shell accepts.
    #[test]
    fn names_of_variables() {
        assert_eq!(variable("source-1"), "SEALPORT_PASSWORD_SOURCE_1");
        assert_eq!(variable("会员 db"), "SEALPORT_PASSWORD____DB");
    }
}
