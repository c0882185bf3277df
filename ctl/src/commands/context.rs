//! `hactl context list`, `show`, `use`, `add` and `remove`. Works on a file alone; asks no node.

use std::path::PathBuf;

use serde::Serialize;

use crate::args::{ContextCommand, Global};
use crate::commands::Context;
use crate::contexts::{self, Contexts, Named};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Report, Times};

/// A named cluster.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct ContextView {
    pub name: String,
    pub current: bool,
    #[serde(flatten)]
    pub named: Named,
}

impl Item for ContextView {
    const KIND: &'static str = "Context";
    const NONE: &'static str = "no context: hactl context add makes one";

    fn name(&self) -> String {
        self.name.clone()
    }

    fn headers(_wide: bool) -> Vec<&'static str> {
        vec!["CONTEXT", "CURRENT", "ENDPOINTS", "CERTIFICATE"]
    }

    fn cells(&self, _wide: bool, _times: &Times) -> Vec<Cell> {
        let certificate = self.named.cert.as_ref().map(|file| file.display().to_string());
        vec![
            Cell::painted(Paint::Bold, &self.name),
            Cell::new(if self.current { "yes" } else { "" }),
            Cell::new(self.named.endpoints.join(" ")),
            Cell::new(certificate.unwrap_or_default()),
        ]
    }
}

/// Does what the user asked for.
///
/// # Errors
/// What stopped it.
pub(crate) fn run(context: &Context, command: ContextCommand) -> Result<Exit, Stop> {
    let global = &context.global;
    let (mut contexts, _) = loaded(global)?;
    let shown = match command {
        ContextCommand::List => views(&contexts),
        ContextCommand::Show { name } => {
            let name = name.or_else(|| contexts.current.clone());
            let name = name.ok_or_else(|| Failure::usage("no context is the current one", "name one"))?;
            vec![view(&contexts, &name)?]
        }
        ContextCommand::Use { name } => {
            view(&contexts, &name)?;
            contexts.current = Some(name.clone());
            store(global, &contexts)?;
            vec![view(&contexts, &name)?]
        }
        ContextCommand::Add { name, replace } => {
            add(&mut contexts, global, &name, replace)?;
            store(global, &contexts)?;
            vec![view(&contexts, &name)?]
        }
        ContextCommand::Remove { name } => {
            view(&contexts, &name)?;
            contexts.all.remove(&name);
            contexts.current.take_if(|current| *current == name);
            store(global, &contexts)?;
            views(&contexts)
        }
    };
    let mut answer = Report::new("ContextList");
    answer.items = shown;
    context.print(&answer, None)?;
    Ok(Exit::Done)
}

/// A file that `--config` names may be made by `add`.
fn loaded(global: &Global) -> Result<(Contexts, Option<PathBuf>), Failure> {
    match &global.config {
        Some(file) if !file.exists() => Ok((Contexts::default(), None)),
        config => contexts::load(config.as_deref()),
    }
}

fn store(global: &Global, contexts: &Contexts) -> Result<(), Failure> {
    let file = contexts::own_file(global.config.as_deref())
        .ok_or_else(|| Failure::usage("there is no home folder to keep contexts in", "give --config FILE"))?;
    contexts::store(&file, contexts)
}

/// The first context is the current one from then on.
fn add(contexts: &mut Contexts, global: &Global, name: &str, replace: bool) -> Result<(), Failure> {
    if global.endpoint.is_empty() {
        return Err(Failure::usage("a context needs nodes", "give --endpoint, once for each node"));
    }
    if contexts.all.contains_key(name) && !replace {
        return Err(Failure::usage(
            format!("there is a context {name} already"),
            "nothing was changed; --replace puts the new one in its place",
        ));
    }
    let absolute = |file: &Option<PathBuf>| {
        let file = file.as_ref()?;
        // Only a path that names nothing at all cannot be made absolute; the load below tells what is wrong with it.
        Some(std::path::absolute(file).unwrap_or_else(|_| file.clone()))
    };
    let named = Named {
        endpoints: global.endpoint.iter().map(ToString::to_string).collect(),
        cacert: absolute(&global.cacert),
        cert: absolute(&global.cert),
        key: absolute(&global.key),
    };
    // What would not work later is told now.
    Global { context: None, config: global.config.clone(), ..global.clone() }.resolve()?;
    contexts.all.insert(name.to_owned(), named);
    contexts.current.get_or_insert_with(|| name.to_owned());
    Ok(())
}

fn views(contexts: &Contexts) -> Vec<ContextView> {
    contexts
        .all
        .iter()
        .map(|(name, named)| ContextView {
            name: name.clone(),
            current: contexts.current.as_ref() == Some(name),
            named: named.clone(),
        })
        .collect()
}

fn view(contexts: &Contexts, name: &str) -> Result<ContextView, Failure> {
    let found = views(contexts).into_iter().find(|view| view.name == name);
    found.ok_or_else(|| {
        Failure::usage(format!("there is no context {name}"), "hactl context list shows what there is")
    })
}
