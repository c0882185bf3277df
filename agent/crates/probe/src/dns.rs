//! `dns`: a name server answers a question. Layer 5: says that the server knows, not only that it runs.

mod exchange;
mod message;

use crate::attempt::Reason;
use crate::course::Course;
use crate::destination::Destination;
use crate::evidence::escaped;
use crate::failure::{Failure, Success};
use crate::spec::Invalid;
use crate::target::Target;

pub(crate) use exchange::ask;
pub(crate) use message::{Data, Question, Record, Response};
pub use message::{RecordType, ResponseCode};

/// A name server answers a question with the response code and the records that are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dns {
    /// The name server; port 53 by custom.
    pub target: Target,
    /// The name to ask for; `.` for the root.
    pub name: String,
    /// The type of record to ask for.
    pub record_type: RecordType,
    /// The response code that passes; NOERROR by custom.
    pub code: ResponseCode,
    /// What the answer must contain.
    pub answers: Answers,
    /// Ask over TCP at once, instead of only when the answer over UDP is truncated.
    pub only_tcp: bool,
}

/// What an answer must contain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answers {
    /// Anything, also nothing.
    Any,
    /// At least one record of the type asked for.
    Some,
    /// Each of these, as in a zone file; case, dots at the end of names and spaces make no difference. Others may stand
    /// beside them.
    These(Vec<String>),
}

#[derive(Debug)]
pub(crate) struct Compiled {
    destination: Destination,
    question: Question,
    code: ResponseCode,
    answers: Answers,
    only_tcp: bool,
}

impl Compiled {
    pub(crate) fn new(spec: Dns) -> Result<Self, Invalid> {
        let answers = match spec.answers {
            Answers::These(texts) if texts.is_empty() => {
                return Err(Invalid::new(
                    "answers",
                    "the list is empty; name an answer or leave the list out",
                ));
            }
            Answers::These(texts) => Answers::These(texts.iter().map(|text| normal(text)).collect()),
            other => other,
        };
        Ok(Self {
            destination: Destination::new(&spec.target)?,
            question: Question::new(&spec.name, spec.record_type)?,
            code: spec.code,
            answers,
            only_tcp: spec.only_tcp,
        })
    }

    pub(crate) async fn run(&self, course: &mut Course) -> Result<Success, Failure> {
        let server = self.destination.resolve(course).await?;
        let response = ask(server, &self.destination.origin, &self.question, self.only_tcp, course).await?;
        self.judge(&response)
    }

    /// Whether the answer is the wanted one.
    fn judge(&self, response: &Response) -> Result<Success, Failure> {
        let found: Vec<String> =
            self.of_the_type(response).map(|record| normal(&record.data.to_string())).collect();
        let told = format!("{}, {}", response.code, list(&found));
        if response.code != self.code {
            return Err(Failure::failed(Reason::WrongAnswer, format!("{told}; wanted {}", self.code)));
        }
        let missing = match &self.answers {
            Answers::Any => None,
            Answers::Some if found.is_empty() => Some(self.question.kind.as_str()),
            Answers::Some => None,
            Answers::These(wanted) => wanted.iter().find(|text| !found.contains(text)).map(String::as_str),
        };
        match missing {
            Some(text) => {
                let text = escaped(text.as_bytes(), 80);
                Err(Failure::failed(Reason::WrongAnswer, format!("{told}; missing {text}")))
            }
            None => Ok(Success::new(told)),
        }
    }

    fn of_the_type<'a>(&self, response: &'a Response) -> impl Iterator<Item = &'a Record> {
        let kind = self.question.kind;
        response.answers.iter().filter(move |record| record.kind == kind)
    }
}

/// The first answers, for evidence.
fn list(found: &[String]) -> String {
    const SHOWN: usize = 3;
    match found {
        [] => "no answer".to_owned(),
        _ => {
            let shown: Vec<String> =
                found.iter().take(SHOWN).map(|text| escaped(text.as_bytes(), 40)).collect();
            let rest = found.len().saturating_sub(SHOWN);
            let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            format!("{}{more}", shown.join(", "))
        }
    }
}

/// Lower case, without quotes, with single spaces and without dots at the end of names.
fn normal(text: &str) -> String {
    let bare = text.trim().trim_matches('"').to_lowercase();
    let words: Vec<&str> =
        bare.split_whitespace().map(|word| word.strip_suffix('.').unwrap_or(word)).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests;
