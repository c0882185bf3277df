//! `hactl events`: what happened on all nodes in one order, and with `-f` what happens now.

mod exec;
mod follow;
mod query;
mod row;
mod token;

use std::collections::BTreeMap;

use ha_proto::v1;
use jiff::Timestamp;

use self::exec::Exec;
use self::query::Query;
use crate::args::{EventsArgs, Format};
use crate::clock::{Clock, to_proto};
use crate::cluster::{NodeFilter, name_the_silent, none_answered};
use crate::commands::Context;
use crate::commands::lacks::lost_past;
use crate::commands::unknown::{check_names, unknown_type};
use crate::endpoint::Endpoint;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::{Answer, ask_all};
use crate::merge::merge_newest;
use crate::model::{EventView, NodeStatus};
use crate::names;
use crate::output::Stop;
use crate::render::Report;
use crate::session::{History, Session};
use crate::watch::{FilterFor, Start};

/// Without anything that says otherwise.
const LAST_DEFAULT: usize = 50;

/// With `--since` and no `--last`: more would not fit into memory on many nodes.
const LAST_AT_MOST: usize = 1_000_000;

/// What one node told: who it is, its clock, and the part of its history that was asked for.
struct Told {
    name: String,
    incarnation: String,
    version: String,
    clock: Clock,
    history: Option<History>,
}

/// What one node answered: what it told, unless it is not wanted; and how it sees the others.
struct Reply {
    told: Option<Told>,
    peers: Option<v1::ClusterView>,
}

/// One endpoint of the run: where it is, and what is known of it.
pub(crate) struct Lane {
    endpoint: Endpoint,
    node: Option<String>,
    start: Start,
    last: Option<(String, i64)>,
    failure: Option<Failure>,
}

/// Prints events.
///
/// # Errors
/// When no node can be reached, or the answer cannot be written.
pub(crate) async fn run(context: &Context, arguments: EventsArgs) -> Result<Exit, Stop> {
    let streams = arguments.follow || arguments.resume.is_some();
    if streams && matches!(context.global.output, Format::Json | Format::Yaml) {
        let message = "a stream has no end that -o json and -o yaml could wait for";
        return Err(Failure::usage(message, "use -o jsonl").into());
    }
    let tokens = match arguments.resume.as_deref().map(token::decode).transpose() {
        Ok(tokens) => tokens,
        Err(error) => return Err(Failure::usage(error, "give the token as hactl printed it").into()),
    };
    if tokens.as_ref().is_some_and(|tokens| tokens.contains_key("")) && context.global.endpoint.len() > 1 {
        let message = "the token does not say of which node it is, and several are asked";
        let remedy = "give the token as hactl printed it, or ask the one node that it is of with --endpoint";
        return Err(Failure::usage(message, remedy).into());
    }
    let started = Timestamp::now();
    let answers = ask(context, &arguments, started).await?;
    let (answers, statuses) = sort_out(context, answers)?;
    if let Some(unknown) = unknown_type(&arguments.types).filter(|_| streams) {
        context.out.note(&format!("note: {}: {}", unknown.message, unknown.remedy));
    }
    if !streams {
        return past(context, answers, statuses, &arguments);
    }
    let mut lanes = Vec::new();
    let mut histories = Vec::new();
    for answer in answers {
        lanes.push(lane(&answer, tokens.as_ref(), started, context));
        if let Ok(told) = answer.result {
            histories.push((
                told.name,
                told.clock,
                told.history.map(|history| history.events).unwrap_or_default(),
            ));
        }
    }
    let merged = views(histories, limit(&arguments));
    let plan = follow::Plan {
        query: Query::new(&arguments),
        endless: arguments.follow,
        lanes,
        statuses,
        exec: arguments.exec.as_deref().map(Exec::start),
    };
    follow::run(context, plan, merged).await
}

/// How many events of the past are wanted.
fn limit(arguments: &EventsArgs) -> usize {
    match (arguments.last, arguments.since.is_some() || arguments.until.is_some()) {
        (Some(last), _) => last as usize,
        (None, true) => LAST_AT_MOST,
        (None, false) if arguments.follow || arguments.resume.is_some() => 0,
        (None, false) => LAST_DEFAULT,
    }
}

async fn ask(context: &Context, arguments: &EventsArgs, now: Timestamp) -> Result<Vec<Answer<Reply>>, Stop> {
    let resolve = |when: &Option<crate::args::When>| {
        when.as_ref().map(|when| when.resolve(now, &context.times.zone)).transpose()
    };
    let (since, until) = match (resolve(&arguments.since), resolve(&arguments.until)) {
        (Ok(since), Ok(until)) => (since, until),
        (Err(error), _) | (_, Err(error)) => return Err(Failure::usage(error, "").into()),
    };
    let (query, limit) = (Query::new(arguments), limit(arguments));
    let wanted = &context.global.node;
    let bound = context.global.node_timeout.min(context.global.timeout);
    let question = |_, mut session: Session| {
        let query = query.clone();
        async move {
            let (node, clock) = session.node().await?;
            let told = async {
                if !NodeFilter(wanted).wants(names::last(&node.name)) {
                    return Ok(None);
                }
                // What may lie within the bounds does.
                let bounds =
                    (since.map(|since| clock.bounds(since).0), until.map(|until| clock.bounds(until).1));
                let history = history(&session, &query, bounds, limit).await?;
                let (name, incarnation) = (session.name().to_owned(), node.incarnation_id.clone());
                Ok(Some(Told { name, incarnation, version: node.version.clone(), clock, history }))
            };
            let (told, peers) = tokio::join!(told, session.peers());
            Ok(Reply { told: told?, peers: peers.ok() })
        }
    };
    let mut answers = ask_all(&context.global.endpoint, bound, question).await;
    name_the_silent(&mut answers, |reply| reply.peers.as_ref());
    Ok(answers)
}

/// The newest `limit` events between two moments on the node's clock.
async fn history(
    session: &Session,
    query: &Query,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
    limit: usize,
) -> Result<Option<History>, Failure> {
    if limit == 0 {
        return Ok(None);
    }
    let request = v1::ListEventsRequest {
        filter: Some(query.filter(session).await?),
        since_time: since.map(to_proto),
        until_time: until.map(to_proto),
        ..v1::ListEventsRequest::default()
    };
    session.newest_events(request, limit).await.map(Some)
}

/// Leaves out nodes that are not wanted and nodes asked twice; stops when nobody is left who answered.
fn sort_out(
    context: &Context,
    answers: Vec<Answer<Reply>>,
) -> Result<(Vec<Answer<Told>>, Vec<NodeStatus>), Stop> {
    let answered = |answer: &Answer<Reply>| answer.result.as_ref().ok().and(answer.name.clone());
    let known: Vec<String> = answers.iter().filter_map(answered).collect();
    if !known.is_empty() {
        let failures: Vec<&Failure> =
            answers.iter().filter_map(|answer| answer.result.as_ref().err()).collect();
        check_names(&known, &failures, &context.global.node)?;
    }
    let mut kept: Vec<Answer<Told>> = Vec::new();
    for Answer { endpoint, name, result } in answers {
        let result = match result.map(|reply| reply.told) {
            Ok(None) => continue,
            Err(_) if name.as_ref().is_some_and(|name| !context.filter().wants(name)) => continue,
            Ok(Some(told)) => Ok(told),
            Err(failure) => Err(failure),
        };
        let twin = result.as_ref().ok().and_then(|told| {
            kept.iter().find(|other| {
                other
                    .result
                    .as_ref()
                    .is_ok_and(|known| known.incarnation == told.incarnation && known.name == told.name)
            })
        });
        match twin {
            Some(twin) => {
                context.out.note(&format!("note: {endpoint} is the same node as {}", twin.endpoint))
            }
            None => kept.push(Answer { endpoint, name, result }),
        }
    }
    let names: Vec<String> =
        kept.iter().filter_map(|answer| Some(answer.result.as_ref().ok()?.name.clone())).collect();
    if context.filter().is_satisfied_by(&names) {
        kept.retain(|answer| answer.result.is_ok());
    }
    let statuses: Vec<NodeStatus> = kept.iter().map(status).collect();
    let failures: Vec<&Failure> = kept.iter().filter_map(|answer| answer.result.as_ref().err()).collect();
    if failures.len() == kept.len() {
        let failure = none_answered(&failures);
        if failures.len() > 1 {
            tell_missing(context, &failures);
        }
        return Err(Stop::Failure(Box::new(failure), statuses));
    }
    if !context.global.output.is_for_programs() {
        tell_missing(context, &failures);
    }
    Ok((kept, statuses))
}

fn tell_missing(context: &Context, failures: &[&Failure]) {
    for failure in failures {
        context.out.note(&format!("missing: {failure}"));
    }
}

fn status(answer: &Answer<Told>) -> NodeStatus {
    let endpoint = answer.endpoint.to_string();
    match &answer.result {
        Ok(told) => NodeStatus::answered(&told.name, endpoint, &told.version, Some(told.clock)),
        Err(failure) => NodeStatus::failed(answer.name.as_deref(), endpoint, failure),
    }
}

/// The merged past as an answer with an end.
fn past(
    context: &Context,
    answers: Vec<Answer<Told>>,
    nodes: Vec<NodeStatus>,
    arguments: &EventsArgs,
) -> Result<Exit, Stop> {
    let (asked, mut tokens, mut histories) = (answers.len(), BTreeMap::new(), Vec::new());
    let mut lacks = Vec::new();
    for told in answers.into_iter().filter_map(|answer| answer.result.ok()) {
        let history = told.history.unwrap_or_default();
        lacks.extend(lost_past(&told.name, &history));
        if !history.resume_token.is_empty() {
            tokens.insert(told.name.clone(), history.resume_token);
        }
        histories.push((told.name, told.clock, history.events));
    }
    let answered = histories.len() - lacks.len();
    let mut answer = Report::new("EventList");
    answer.complete = answered == asked;
    if !context.global.output.is_for_programs() {
        lacks.iter().for_each(|lack| context.out.note(&format!("missing: {lack}")));
    }
    answer.missing = lacks;
    answer.resume_token = (!tokens.is_empty()).then(|| token::encode(&tokens));
    answer.nodes = nodes;
    answer.items = views(histories, limit(arguments));
    // A newer agent may have it, and then there is no mistake.
    if let Some(unknown) = unknown_type(&arguments.types).filter(|_| answer.items.is_empty()) {
        return Err(Stop::Failure(Box::new(unknown), answer.nodes));
    }
    context.print(&answer, None)?;
    if let Some(token) = &answer.resume_token {
        context.out.detail(&format!("go on with: hactl events --resume {token}"));
    }
    if let Some(mut exec) = arguments.exec.as_deref().map(Exec::start) {
        answer.items.iter().for_each(|event| exec.run_patiently(event));
        exec.finish(context.global.timeout.to_duration())?;
    }
    Ok(if context.global.require.is_met(answered, asked) { Exit::Done } else { Exit::NodesMissing })
}

/// Histories of several nodes, each oldest first, as one: its newest `limit` events.
pub(crate) fn views(histories: Vec<(String, Clock, Vec<v1::Event>)>, limit: usize) -> Vec<EventView> {
    let lanes = histories
        .into_iter()
        .map(|(node, clock, events)| {
            let entries = events.into_iter().map(|event| (event.clone(), (event, node.clone(), clock)));
            (clock, entries.collect())
        })
        .collect();
    merge_newest(lanes, limit)
        .into_iter()
        .map(|merged| {
            let (event, node, clock): (v1::Event, String, Clock) = merged.payload;
            EventView::new(&event, &node, clock, merged.order_uncertain)
        })
        .collect()
}

/// Where this endpoint's stream begins: after its history, after the user's token, now; or, when it cannot be reached
/// yet, at the moment the user asked.
fn lane(
    answer: &Answer<Told>,
    tokens: Option<&BTreeMap<String, String>>,
    started: Timestamp,
    context: &Context,
) -> Lane {
    let told = answer.result.as_ref().ok();
    let given = tokens.and_then(|tokens| {
        let own = told.and_then(|told| tokens.get(&told.name));
        own.or_else(|| tokens.get(""))
    });
    let history = told.and_then(|told| told.history.as_ref());
    let after = history.map(|history| history.resume_token.clone()).filter(|token| !token.is_empty());
    let start = match (given.cloned().or(after), told) {
        (Some(token), _) => Start::Token(token),
        (None, Some(_)) => Start::Now,
        (None, None) => Start::Since(started),
    };
    if let (Some(tokens), Some(told)) = (tokens, told)
        && given.is_none()
    {
        let known: Vec<&str> = tokens.keys().map(String::as_str).collect();
        context.out.note(&format!(
            "note: the token is for {}, not for {}: from now on",
            known.join(" "),
            told.name
        ));
    }
    let newest = history.and_then(|history| history.events.last());
    Lane {
        endpoint: answer.endpoint.clone(),
        node: answer.name.clone(),
        start,
        last: newest.map(|event| (event.incarnation_id.clone(), event.sequence)),
        failure: answer.result.as_ref().err().cloned(),
    }
}
