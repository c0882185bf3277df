//! What a body must be: found in it, not found in it, or exactly one known text.

use md5::Md5;
use regex::bytes::Regex;
use sha2::{Digest, Sha256};

use super::Answer;
use crate::attempt::Reason;
use crate::evidence::escaped;
use crate::failure::Failure;
use crate::pattern;
use crate::spec::Invalid;

/// What a body must be. Patterns are those of the crate `regex`; all rules that are given must hold.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct BodyRules {
    /// Must be found in the body, or in its first octets when it is longer than the limit.
    pub matches: Option<String>,
    /// Must not be found in the body; a body longer than the limit fails.
    pub lacks: Option<String>,
    /// SHA-256 of the whole body; a body longer than the limit fails.
    pub sha256: Option<[u8; 32]>,
    /// MD5 of the whole body, for configurations that come from keepalived; it does not protect against forgery.
    pub md5: Option<[u8; 16]>,
}

/// The rules, compiled.
#[derive(Debug)]
pub(super) struct Rules {
    matches: Option<Regex>,
    lacks: Option<Regex>,
    sha256: Option<[u8; 32]>,
    md5: Option<[u8; 16]>,
}

impl Rules {
    pub(super) fn new(rules: &BodyRules) -> Result<Self, Invalid> {
        let compile = |parameter, text: &Option<String>| {
            text.as_deref().map(|text| pattern::compile(parameter, text)).transpose()
        };
        Ok(Self {
            matches: compile("body_matches", &rules.matches)?,
            lacks: compile("body_lacks", &rules.lacks)?,
            sha256: rules.sha256,
            md5: rules.md5,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.matches.is_none() && !self.needs_all()
    }

    /// There is a rule that the beginning of a body cannot satisfy.
    fn needs_all(&self) -> bool {
        self.lacks.is_some() || self.sha256.is_some() || self.md5.is_some()
    }

    pub(super) fn judge(&self, answer: &Answer) -> Result<(), Failure> {
        let body = &answer.body;
        if answer.is_cut && self.needs_all() {
            let text = format!("its body is longer than {} octets", body.len());
            return Err(Failure::failed(Reason::TooLarge, text));
        }
        let wrong = |why: &str| {
            let text = format!("{why}: {} octets, {}", body.len(), escaped(body, 60));
            Err(Failure::failed(Reason::WrongAnswer, text))
        };
        if self.matches.as_ref().is_some_and(|regex| !regex.is_match(body)) {
            return wrong("`body_matches` is not found in the body");
        }
        if self.lacks.as_ref().is_some_and(|regex| regex.is_match(body)) {
            return wrong("`body_lacks` is found in the body");
        }
        if self.sha256.is_some_and(|digest| Sha256::digest(body)[..] != digest) {
            return wrong("the body has another SHA-256");
        }
        if self.md5.is_some_and(|digest| Md5::digest(body)[..] != digest) {
            return wrong("the body has another MD5");
        }
        Ok(())
    }
}
