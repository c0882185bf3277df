//! What changes have in common: an id for each request, consent, one call for each node, and a look at the effect.

use std::future::Future;
use std::io::{BufRead, IsTerminal};
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde::Serialize;
use tokio::time::sleep;

use crate::args::Format;
use crate::cluster::Cluster;
use crate::commands::{Context, error_text};
use crate::endpoint::Endpoint;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::{Scope, ask_one};
use crate::names;
use crate::output::Stop;
use crate::render::{Item, Paint, Report, Times, paint};
use crate::session::Session;
use crate::span::Span;

/// The pause between two looks at the cluster while an effect is waited for.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A change that is made in the same way on each node that has the thing.
pub(crate) trait Change {
    /// The thing as it is shown afterwards.
    type View: Serialize + std::fmt::Debug;
    /// The kind of the answer's items and envelope.
    const KIND: &'static str;
    /// What must be asked for to see the effect.
    const SCOPE: Scope;

    /// What will be done to the thing of this name: `mute a/nginx for 1h`.
    fn describe(&self, name: &str) -> String;
    /// Asks a node for it.
    fn call(
        &self,
        session: Session,
        name: String,
        request: Request,
    ) -> impl Future<Output = Result<(), Failure>>;
    /// The thing as the cluster shows it.
    fn look(&self, cluster: &Cluster, name: &str) -> Option<Self::View>;
    /// What of the effect is not there yet.
    fn missing(&self, view: &Self::View) -> Option<String>;
    /// The thing after the change, for a reader.
    fn outcome(&self, view: &Self::View, times: &Times) -> String;
}

/// What every request of a change carries.
pub(crate) struct Request {
    /// The same on each try.
    pub id: String,
    /// Only ask whether it may be done.
    pub validate_only: bool,
}

/// What came of a change on one node.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct ChangeView<V> {
    pub name: String,
    pub node: String,
    pub request_id: String,
    pub dry_run: bool,
    /// Whether the effect has been seen; never with --dry-run.
    pub observed: bool,
    /// How long that took.
    pub observed_after: Option<Span>,
    /// The thing as it was seen last.
    pub current: Option<V>,
    /// Why it was not done, or not seen.
    pub error: Option<Failure>,
}

impl<V: Serialize> Item for ChangeView<V> {
    const KIND: &'static str = "Change";

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// One node's part in a change.
struct Step {
    name: String,
    endpoint: Endpoint,
    request_id: String,
}

/// Stops before anything is asked when nobody could agree to a change.
///
/// # Errors
/// Without a terminal, unless the user has agreed with --yes or wants --dry-run.
pub(crate) fn require_consent(context: &Context) -> Result<(), Stop> {
    let interactive = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if context.global.yes || context.global.dry_run || interactive {
        return Ok(());
    }
    let message = "this changes the cluster, and there is no terminal to ask on";
    Err(Failure::usage(message, "add --yes to do it, or --dry-run to see what it would do").into())
}

/// Asks the user, unless --yes was given.
///
/// # Errors
/// When the user does not agree.
pub(crate) fn confirm(context: &Context) -> Result<(), Stop> {
    if context.global.yes {
        return Ok(());
    }
    context.out.prompt("Proceed? [y/N] ");
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Failure::internal(format!("cannot read the answer: {error}")))?;
    match line.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::usage("not confirmed: nothing was changed", "").into()),
    }
}

/// A random id, so that repeating a request cannot repeat its effect. The form is that of a UUID, version 4.
///
/// # Errors
/// When the kernel gives no random octets.
pub(crate) fn request_id() -> Result<String, Failure> {
    use std::io::Read;
    let mut bytes = [0u8; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| Failure::internal(format!("cannot read /dev/urandom: {error}")))?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

/// Plans, confirms and makes a change on each of these things, and looks until its effect is seen.
///
/// # Errors
/// When a node refuses it, or the user does; what was done on some nodes and failed on others is in the answer.
pub(crate) async fn run<C: Change>(
    context: &Context,
    cluster: &Cluster,
    change: &C,
    things: Vec<String>,
) -> Result<Exit, Stop> {
    let steps = steps(cluster, things)?;
    for refused in call_each(context, change, &steps, true).await {
        refused.map_err(|failure| Stop::Failure(Box::new(failure), cluster.statuses()))?;
    }
    let plan: Vec<String> = steps.iter().map(|step| change.describe(&step.name)).collect();
    if context.global.dry_run {
        let views = steps.iter().map(|step| step.view(change.look(cluster, &step.name), true)).collect();
        let plan: String = plan.iter().map(|step| format!("would {step}\n")).collect();
        return finish(context, cluster, C::KIND, views, &plan);
    }
    context.out.note(&plan.join("\n"));
    confirm(context)?;
    let started = Instant::now();
    let called = call_each(context, change, &steps, false).await;
    let views = observe(context, change, &steps, called, started).await;
    let text: String = views
        .iter()
        .filter(|view| view.error.is_none())
        .filter_map(|view| view.current.as_ref())
        .map(|view| change.outcome(view, &context.times))
        .collect();
    finish(context, cluster, C::KIND, views, &text)
}

fn steps(cluster: &Cluster, things: Vec<String>) -> Result<Vec<Step>, Failure> {
    let step = |name: String| {
        let endpoint = cluster
            .endpoint_of(names::node(&name))
            .ok_or_else(|| Failure::internal(format!("{name} was there a moment ago")))?;
        Ok(Step { name, endpoint, request_id: request_id()? })
    };
    things.into_iter().map(step).collect()
}

async fn call_each<C: Change>(
    context: &Context,
    change: &C,
    steps: &[Step],
    validate_only: bool,
) -> Vec<Result<(), Failure>> {
    let limit = context.global.node_timeout;
    join_all(steps.iter().map(|step| {
        let request = Request { id: step.request_id.clone(), validate_only };
        let question = async move |session: Session| change.call(session, step.name.clone(), request).await;
        ask_one(&step.endpoint, names::node(&step.name), limit, question)
    }))
    .await
}

/// Looks until all effects are seen, for at most `--timeout` since `started`.
async fn observe<C: Change>(
    context: &Context,
    change: &C,
    steps: &[Step],
    called: Vec<Result<(), Failure>>,
    started: Instant,
) -> Vec<ChangeView<C::View>> {
    let limit = context.global.timeout;
    let mut views: Vec<ChangeView<C::View>> = steps
        .iter()
        .zip(called)
        .map(|(step, called)| ChangeView { error: called.err(), ..step.view(None, false) })
        .collect();
    loop {
        let cluster = Cluster::ask(&context.global, C::SCOPE).await;
        let mut open = None;
        for view in views.iter_mut().filter(|view| view.error.is_none() && !view.observed) {
            view.current = change.look(&cluster, &view.name);
            let missing = match &view.current {
                Some(current) => change.missing(current),
                None => Some(format!("{} does not answer", names::label(&view.name))),
            };
            view.observed = missing.is_none();
            view.observed_after = view.observed.then(|| Span::from(started.elapsed()));
            open = open.or(missing);
        }
        let Some(missing) = open else { return views };
        if started.elapsed() >= limit.to_duration() {
            let late = views.iter_mut().filter(|view| view.error.is_none() && !view.observed);
            late.for_each(|view| view.error = Some(not_seen(&missing, limit).on(view.node.clone())));
            return views;
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn not_seen(missing: &str, limit: Span) -> Failure {
    let message = format!("the change was made, but its effect was not seen within {limit}: {missing}");
    let remedy = "hactl events --last 20 shows what happened";
    Failure::local(Exit::Timeout, "DEADLINE_EXCEEDED", "EFFECT_NOT_OBSERVED", message, remedy)
}

impl Step {
    fn view<V>(&self, current: Option<V>, dry_run: bool) -> ChangeView<V> {
        ChangeView {
            name: self.name.clone(),
            node: names::node(&self.name).to_owned(),
            request_id: self.request_id.clone(),
            dry_run,
            observed: false,
            observed_after: None,
            current,
            error: None,
        }
    }
}

/// Prints what was done; the first failure decides the exit code.
fn finish<V: Serialize>(
    context: &Context,
    cluster: &Cluster,
    kind: &'static str,
    views: Vec<ChangeView<V>>,
    text: &str,
) -> Result<Exit, Stop> {
    let failures: Vec<Failure> = views.iter().filter_map(|view| view.error.clone()).collect();
    failures.iter().for_each(|failure| context.out.error(&error_text(failure)));
    let mut answer = Report::new(kind);
    answer.complete = cluster.is_complete();
    answer.nodes = cluster.statuses();
    answer.items = views;
    answer.error = failures.first().cloned();
    let exit = failures.first().map_or(Exit::Done, |failure| failure.exit);
    let for_readers = matches!(context.global.output, Format::Table | Format::Wide);
    context.print(&answer, for_readers.then_some(text))?;
    Ok(exit)
}

/// A line about a thing: its name, painted, and what is said of it.
pub(crate) fn outcome_line(name: &str, what: &str) -> String {
    format!("{}  {}\n", paint(Paint::Bold, &names::label(name)), paint(Paint::Plain, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_have_the_form_of_a_uuid_and_differ() {
        let (one, other) = (request_id().unwrap(), request_id().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(one.as_bytes()[14], b'4');
    }
}
