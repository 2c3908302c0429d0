//! Licence expressions: is there a choice in them that we allow?

use anyhow::{Context, Result, bail};

/// Tells whether `expression` can be satisfied with licences of `allowed`.
///
/// Understands what stands in published crates: `OR`, `AND`, parentheses, `WITH`, and the old `/` for `OR`. An exception is
/// part of its licence: `Apache-2.0 WITH LLVM-exception` is allowed only if listed so.
///
/// # Errors
/// If the expression is malformed.
pub(crate) fn is_allowed(expression: &str, allowed: &[String]) -> Result<bool> {
    let mut parser = Parser {
        tokens: tokens(expression),
        next: 0,
        allowed,
    };
    let verdict = parser
        .any()
        .with_context(|| format!("cannot read the licence expression `{expression}`"))?;
    if parser.next < parser.tokens.len() {
        bail!("the licence expression `{expression}` goes on after its end");
    }
    Ok(verdict)
}

fn tokens(expression: &str) -> Vec<String> {
    expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ")
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

struct Parser<'a> {
    tokens: Vec<String>,
    next: usize,
    allowed: &'a [String],
}

impl Parser<'_> {
    /// `a OR b`: AND binds tighter.
    fn any(&mut self) -> Result<bool> {
        let mut verdict = self.every()?;
        while self.skip("OR") {
            verdict |= self.every()?;
        }
        Ok(verdict)
    }

    fn every(&mut self) -> Result<bool> {
        let mut verdict = self.one()?;
        while self.skip("AND") {
            verdict &= self.one()?;
        }
        Ok(verdict)
    }

    fn one(&mut self) -> Result<bool> {
        if self.skip("(") {
            let verdict = self.any()?;
            if !self.skip(")") {
                bail!("a parenthesis is not closed");
            }
            return Ok(verdict);
        }
        let mut licence = self.name()?;
        if self.skip("WITH") {
            licence = format!("{licence} WITH {}", self.name()?);
        }
        Ok(self.allowed.contains(&licence))
    }

    fn name(&mut self) -> Result<String> {
        match self.tokens.get(self.next) {
            Some(token) if !["AND", "OR", "WITH", "(", ")"].contains(&token.as_str()) => {
                self.next += 1;
                Ok(token.clone())
            }
            Some(token) => bail!("a licence was expected where `{token}` stands"),
            None => bail!("a licence was expected at the end"),
        }
    }

    fn skip(&mut self, token: &str) -> bool {
        let found = self.tokens.get(self.next).is_some_and(|next| next == token);
        if found {
            self.next += 1;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    fn verdict(expression: &str) -> bool {
        let allowed = ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        is_allowed(expression, &allowed).expect(expression)
    }

    #[test]
    fn one_allowed_alternative_is_enough() {
        assert!(verdict("GPL-3.0 OR MIT"));
        assert!(verdict("Unlicense/MIT"));
        assert!(!verdict("GPL-3.0 OR AGPL-3.0"));
    }

    #[test]
    fn and_needs_both_and_binds_tighter_than_or() {
        assert!(verdict("MIT AND Zlib"));
        assert!(!verdict("MIT AND GPL-3.0"));
        assert!(verdict("MIT OR GPL-3.0 AND AGPL-3.0"));
        assert!(!verdict("(MIT OR GPL-3.0) AND AGPL-3.0"));
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        assert!(verdict("Apache-2.0 WITH LLVM-exception"));
        assert!(!verdict("Apache-2.0"));
        assert!(!verdict("MIT WITH LLVM-exception"));
    }

    #[test]
    fn malformed_expressions_are_errors_not_verdicts() {
        for expression in ["", "MIT OR", "(MIT", "MIT MIT", "AND MIT"] {
            assert!(is_allowed(expression, &[]).is_err(), "{expression}");
        }
    }
}
