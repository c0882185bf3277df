//! Which lines are written: the configured level, and another one for a while when somebody looks for a fault.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ha_engine::{Actor, Instant};
use tokio_util::task::AbortOnDropHandle;
use tracing::info;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::clock;

/// Directives that somebody asked for, checked. Spans and fields are no part of them: what they cost grows with what others send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directives {
    text: Arc<str>,
    /// Whether one of them is for everything.
    has_base: bool,
}

/// Octets and number of directives.
const LONGEST: usize = 512;
const MOST: usize = 32;

/// What is wrong with directives, and what to write.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}; write for example \"debug\" or \"ha_agent::peers=debug\"")]
pub struct Invalid {
    what: String,
}

impl FromStr for Directives {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.len() > LONGEST {
            return Err(invalid(format!("the level has {} octets, more than {LONGEST}", text.len())));
        }
        let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        if parts.is_empty() || parts.len() > MOST {
            return Err(invalid(format!("{} directives; give 1 to {MOST}", parts.len())));
        }
        let mut bases = 0;
        for part in &parts {
            bases += usize::from(check(part)?);
        }
        if bases > 1 {
            return Err(invalid("more than one level for everything".to_owned()));
        }
        Ok(Self { text: parts.join(",").into(), has_base: bases == 1 })
    }
}

impl fmt::Display for Directives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a directive is one for everything.
fn check(directive: &str) -> Result<bool, Invalid> {
    let level = |word: &str| {
        let known =
            word.parse::<LevelFilter>().ok().filter(|_| !word.starts_with(|c: char| c.is_ascii_digit()));
        known.ok_or_else(|| invalid(format!("{word:?} is no level: error, warn, info, debug, trace")))
    };
    let Some((target, word)) = directive.split_once('=') else {
        return match level(directive)? {
            LevelFilter::OFF => Err(invalid("\"off\" would hide errors, too".to_owned())),
            _ => Ok(true),
        };
    };
    let is_target = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.' | '-');
    if target.is_empty() || !target.chars().all(is_target) {
        return Err(invalid(format!("{target:?} is no target: the path of a module")));
    }
    level(word).map(|_| false)
}

fn invalid(what: String) -> Invalid {
    Invalid { what }
}

/// What somebody asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LevelOverride {
    /// What.
    pub directives: Directives,
    /// The operator's words.
    pub reason: Arc<str>,
    /// Who.
    pub actor: Arc<Actor>,
    /// Since when.
    pub since: Instant,
    /// Until when.
    pub expires: Instant,
}

/// How it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LevelStatus {
    /// In force.
    pub level: String,
    /// What comes back.
    pub configured: Arc<str>,
    /// What somebody asked for.
    pub override_: Option<LevelOverride>,
}

/// Puts a filter in force.
type Apply = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// The level of the log. Cheap to clone.
#[derive(Clone)]
pub struct Levels(Arc<Inner>);

struct Inner {
    apply: Apply,
    /// The environment chose the configured level: a reload does not change it.
    is_pinned: bool,
    state: Mutex<State>,
}

struct State {
    current: LevelStatus,
    /// Waits for the end of the override in force. One, however often another level is asked for.
    timer: Option<AbortOnDropHandle<()>>,
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Levels").field(&self.status()).finish()
    }
}

impl Levels {
    /// With the configured level, which is in force.
    pub(crate) fn new(
        configured: &str,
        is_pinned: bool,
        apply: impl Fn(EnvFilter) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let state = State { current: LevelStatus::new(configured.into(), None), timer: None };
        Self(Arc::new(Inner { apply: Box::new(apply), is_pinned, state: Mutex::new(state) }))
    }

    /// How it stands.
    pub fn status(&self) -> LevelStatus {
        self.lock().current.clone()
    }

    /// How it would stand.
    pub fn would_be(&self, override_: Option<LevelOverride>) -> LevelStatus {
        LevelStatus::new(Arc::clone(&self.lock().current.configured), override_)
    }

    /// Puts another level in force until it expires; `None` = the configured one. To be called within a runtime.
    ///
    /// # Errors
    /// Why the level is as it was.
    pub fn set(&self, override_: Option<LevelOverride>) -> Result<LevelStatus, String> {
        let mut state = self.lock();
        let configured = Arc::clone(&state.current.configured);
        self.put(&mut state, LevelStatus::new(configured, override_))?;
        state.timer = state.current.override_.clone().map(|own| {
            let this = self.clone();
            AbortOnDropHandle::new(tokio::spawn(async move { this.expire(own).await }))
        });
        Ok(state.current.clone())
    }

    /// A reload brought this level, unless the environment chose one. An override stays what it is.
    pub fn configure(&self, configured: &str) {
        let mut state = self.lock();
        if self.0.is_pinned || *state.current.configured == *configured {
            return;
        }
        let override_ = state.current.override_.clone();
        // One of five words: they can be read.
        let _ = self.put(&mut state, LevelStatus::new(configured.into(), override_));
    }

    async fn expire(&self, own: LevelOverride) {
        tokio::time::sleep(own.expires.since(clock::now())).await;
        let mut state = self.lock();
        let level = Arc::clone(&state.current.configured);
        // Another one may have come while this waited for the lock.
        let is_in_force = state.current.override_ == Some(own);
        if is_in_force && self.put(&mut state, LevelStatus::new(Arc::clone(&level), None)).is_ok() {
            drop(state);
            info!(%level, "the log level that was asked for has ended, the configured one is in force");
        }
    }

    fn put(&self, state: &mut State, next: LevelStatus) -> Result<(), String> {
        let filter = parse(&next.level).map_err(|error| error.to_string())?;
        (self.0.apply)(filter)?;
        state.current = next;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LevelStatus {
    fn new(configured: Arc<str>, override_: Option<LevelOverride>) -> Self {
        let level = match &override_ {
            None => configured.to_string(),
            Some(own) if own.directives.has_base => own.directives.to_string(),
            Some(own) => format!("{configured},{}", own.directives),
        };
        Self { level, configured, override_ }
    }
}

/// For who reads what was changed.
impl fmt::Display for LevelStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.override_ {
            None => write!(f, "log level {} as configured", self.level),
            Some(own) => {
                let lasts = own.expires.since(own.since);
                write!(f, "log level {} by {} for {lasts:?}", self.level, own.actor.principal)
            }
        }
    }
}

/// Libraries are quiet unless the level names them.
const LIBRARIES: &str =
    "h2=warn,hyper=warn,hyper_util=warn,tonic=warn,tower=warn,netlink_proto=warn,opentelemetry=warn";

/// The filter of a level.
pub(super) fn parse(level: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::try_new(format!("{LIBRARIES},{level}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Levels, and each filter that was put in force.
    fn levels(configured: &str, is_pinned: bool) -> (Levels, Arc<Mutex<Vec<String>>>) {
        let applied = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&applied);
        let apply = move |filter: EnvFilter| {
            seen.lock().unwrap().push(filter.to_string());
            Ok(())
        };
        (Levels::new(configured, is_pinned, apply), applied)
    }

    fn asked(directives: &str, lasts: Duration) -> Option<LevelOverride> {
        let since = clock::now();
        let (reason, actor) = ("".into(), Arc::default());
        let directives = directives.parse().unwrap();
        Some(LevelOverride { directives, reason, actor, since, expires: since.after(lasts) })
    }

    #[test]
    fn directives_are_levels_and_modules_and_nothing_else() {
        for (text, read) in [
            ("debug", Ok("debug")),
            (" warn , ha_agent::peers=trace ", Ok("warn,ha_agent::peers=trace")),
            ("h2=debug,,rustls=off", Ok("h2=debug,rustls=off")),
            ("debgu", Err("\"debgu\" is no level")),
            ("ha_agent::peers", Err("\"ha_agent::peers\" is no level")),
            ("ha_agent=loud", Err("\"loud\" is no level")),
            ("3", Err("\"3\" is no level")),
            ("", Err("0 directives")),
            (",,", Err("0 directives")),
            ("off", Err("\"off\" would hide errors")),
            ("info,debug", Err("more than one level for everything")),
            ("[{name=(a+)+}]=trace", Err("is no target")),
            ("a[b]=trace", Err("is no target")),
            ("=debug", Err("\"\" is no target")),
            ("a=b=debug", Err("\"b=debug\" is no level")),
        ] {
            match (text.parse::<Directives>(), read) {
                (Ok(found), Ok(read)) => assert_eq!(found.to_string(), read, "{text}"),
                (Err(error), Err(read)) => assert!(error.to_string().contains(read), "{text}: {error}"),
                (found, read) => panic!("{text}: {found:?}, wanted {read:?}"),
            }
        }
        assert!("a=debug,".repeat(MOST + 1).parse::<Directives>().is_err());
        assert!(format!("{}=debug", "a".repeat(LONGEST)).parse::<Directives>().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_for_ends_by_itself_and_a_later_wish_is_not_ended_by_an_earlier_ones_end() {
        let (levels, applied) = levels("info", false);
        assert_eq!(levels.set(asked("debug", Duration::from_secs(10))).unwrap().level, "debug");
        tokio::time::sleep(Duration::from_secs(5)).await;
        let second = levels.set(asked("ha_agent::peers=trace", Duration::from_secs(60))).unwrap();
        assert_eq!(second.level, "info,ha_agent::peers=trace");
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(levels.status().level, "info,ha_agent::peers=trace");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(levels.status().override_, None);
        assert_eq!(levels.status().level, "info");
        let applied = applied.lock().unwrap();
        assert_eq!(applied.len(), 3, "{applied:?}");
        assert!(
            applied[1].contains("ha_agent::peers=trace") && applied[1].contains("h2=warn"),
            "{applied:?}"
        );
        assert!(!applied[2].contains("trace"), "{applied:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn however_often_another_level_is_asked_for_one_of_them_is_waited_for() {
        let (levels, _) = levels("info", false);
        for _ in 0..1000 {
            levels.set(asked("debug", Duration::from_secs(24 * 3600))).unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 1);
        assert_eq!(levels.status().level, "debug");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_changes_what_comes_back_and_not_what_was_asked_for_nor_what_the_environment_chose() {
        let (ours, _) = levels("info", false);
        ours.set(asked("ha_agent=trace", Duration::from_secs(10))).unwrap();
        ours.configure("warn");
        assert_eq!(ours.status().level, "warn,ha_agent=trace");
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(ours.status().level, "warn");
        let (pinned, applied) = levels("debug", true);
        pinned.configure("error");
        assert_eq!((&*pinned.status().configured, applied.lock().unwrap().len()), ("debug", 0));
    }

    #[tokio::test]
    async fn a_level_that_cannot_be_put_in_force_leaves_the_one_before() {
        let levels = Levels::new("info", false, |_| Err("gone".to_owned()));
        assert_eq!(levels.set(asked("debug", Duration::from_secs(1))), Err("gone".to_owned()));
        assert_eq!(levels.status().level, "info");
    }
}
