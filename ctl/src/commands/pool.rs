//! `hactl pool list` and `get`.

mod server;

use crate::args::{PoolCommand, PoolTarget, ServerCommand};
use crate::commands::Context;
use crate::commands::blocks::Block;
use crate::commands::check::{held, verdict_paint};
use crate::commands::unknown::unknown_thing;
use crate::exit::Exit;
use crate::fanout::Scope;
use crate::model::{PoolView, ServerView};
use crate::output::Stop;
use crate::render::{Cell, Item, Layout, Paint, Table, Times, paint};

impl Item for PoolView {
    const KIND: &'static str = "Pool";
    const NONE: &'static str = "no pool is configured";

    fn name(&self) -> String {
        self.name.clone()
    }

    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers = vec!["POOL", "NODE", "VERDICT", "SERVERS", "OUT", "BALANCER", "SINCE", "NOTE"];
        if wide {
            headers.extend(["HEALTHY", "QUORUM", "SCOPE", "APPLIED"]);
        }
        headers
    }

    fn cells(&self, wide: bool, times: &Times) -> Vec<Cell> {
        let mut cells = vec![
            Cell::painted(Paint::Bold, &self.pool),
            Cell::new(&self.node),
            Cell::painted(verdict_paint(self.verdict), self.verdict),
            Cell::new(if self.enabled { self.in_service() } else { "not used here".to_owned() }),
            Cell::painted(Paint::Warn, self.out_of_service()),
            Cell::painted(backend_paint(self.backend_state), self.backend_label()),
            Cell::new(times.with_age(self.last_change_time, self.verdict_age)),
            Cell::painted(Paint::Warn, self.notes().join("; ")),
        ];
        if wide {
            cells.extend([
                Cell::new(self.healthy_weight.to_string()),
                Cell::new(format!("{} ±{}", self.quorum, self.hysteresis)),
                Cell::new(self.scope.clone().unwrap_or_default()),
                Cell::new(times.maybe(self.last_apply_time)),
            ]);
        }
        cells
    }
}

impl PoolView {
    fn out_of_service(&self) -> String {
        let out = self.servers.iter().filter(|server| !server.sorry && server.desired_weight == 0);
        out.map(|server| server.server.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn backend_label(&self) -> String {
        match &self.backend {
            Some(backend) => format!("{backend} {}", self.backend_state),
            None => String::new(),
        }
    }
}

fn backend_paint(state: &str) -> Paint {
    match state {
        "CURRENT" => Paint::Good,
        "FAILED" => Paint::Bad,
        "UNKNOWN" => Paint::Unknown,
        _ => Paint::Plain,
    }
}

fn server_paint(state: &str) -> Paint {
    match state {
        "UP" => Paint::Good,
        "DOWN" => Paint::Bad,
        "UNKNOWN" => Paint::Unknown,
        "STANDBY" => Paint::Dim,
        _ => Paint::Warn,
    }
}

/// Does what the user asked for.
///
/// # Errors
/// What stopped it.
pub(crate) async fn run(context: &Context, command: PoolCommand) -> Result<Exit, Stop> {
    match command {
        PoolCommand::List => list(context).await,
        PoolCommand::Get { target } => get(context, &target).await,
        PoolCommand::Server(ServerCommand::Drain {
            target,
            ttl,
            reason,
            survive_restart,
            allow_below_floor,
        }) => {
            let out = server::Drain::Out { ttl, reason, survive_restart, allow_below_floor };
            server::change(context, &target, out).await
        }
        PoolCommand::Server(ServerCommand::Undrain { target }) => {
            server::change(context, &target, server::Drain::Back).await
        }
    }
}

async fn list(context: &Context) -> Result<Exit, Stop> {
    let cluster = context.ask(Scope::Problems).await?;
    let filter = context.filter();
    let mut pools = cluster.pools();
    pools.retain(|pool| filter.wants(&pool.node));
    let (answer, exit) = context.answer_list(&cluster, "PoolList", pools);
    context.print(&answer, None)?;
    Ok(exit)
}

async fn get(context: &Context, target: &PoolTarget) -> Result<Exit, Stop> {
    let cluster = context.ask(Scope::Problems).await?;
    let filter = context.filter();
    let mut pools = cluster.pools();
    pools.retain(|pool| target.matches(&pool.name) && filter.wants(&pool.node));
    if pools.is_empty() {
        let all = cluster.pools().into_iter().map(|pool| pool.name);
        let list = "hactl pool list shows what there is";
        return Err(unknown_thing(&cluster, "pool", &target.to_string(), all, list));
    }
    let text = pools.iter().map(|pool| block(context, pool)).collect::<Vec<_>>().join("\n");
    let (answer, exit) = match target.is_of_one_node() {
        // The one node that was asked for has answered.
        true => context.answer(&cluster, "Pool", pools, true),
        false => context.answer_list(&cluster, "Pool", pools),
    };
    context.print(&answer, Some(&text))?;
    Ok(exit)
}

fn block(context: &Context, pool: &PoolView) -> String {
    let times = &context.times;
    let heading = format!(
        "POOL {}  {}  since {}",
        paint(Paint::Bold, &format!("{}/{}", pool.node, pool.pool)),
        paint(verdict_paint(pool.verdict), pool.verdict),
        times.with_age(pool.last_change_time, pool.verdict_age),
    );
    let mut block = Block::new(heading);
    block.fact(
        "weight",
        format!("{} healthy, quorum {} ±{}", pool.healthy_weight, pool.quorum, pool.hysteresis),
    );
    let used = if pool.enabled { "used here" } else { "not used here now" };
    let scope = pool.scope.as_ref();
    block.fact(
        "scope",
        scope.map(|name| format!("where instance {name} is ACTIVE: {used}")).unwrap_or_default(),
    );
    if let Some(backend) = &pool.backend {
        let applied = format!("{backend}, last change taken over {}", times.maybe(pool.last_apply_time));
        let state = paint(backend_paint(pool.backend_state), pool.backend_state);
        block.painted("balancer", format!("{state}  {}", paint(Paint::Plain, &applied)));
    }
    pool.notes().iter().for_each(|note| block.fact("note", note));
    block.fact("tracked by", pool.affected_instances.join(" "));
    let mut table = Table::new(vec!["  SERVER", "ADDRESS", "STATE", "WEIGHT", "RUNS", "SINCE", "WHY"]);
    pool.servers.iter().for_each(|server| table.row(server_cells(server, times)));
    format!("{}{}", block.render(), table.render(Layout { headers: true, ..context.layout() }))
}

fn server_cells(server: &ServerView, times: &Times) -> Vec<Cell> {
    let weight = match server.desired_weight == server.configured_weight {
        true => server.desired_weight.to_string(),
        false => format!("{} of {}", server.desired_weight, server.configured_weight),
    };
    let role = if server.sorry { " (sorry)" } else { "" };
    vec![
        Cell::painted(Paint::Bold, format!("  {}{role}", server.server)),
        Cell::new(server.endpoint()),
        Cell::painted(server_paint(server.state), server.state),
        Cell::new(weight),
        Cell::new(server.running_weight.map(|weight| weight.to_string()).unwrap_or_default()),
        Cell::new(times.with_age(server.last_change_time, server.state_age)),
        Cell::new(why(server)),
    ]
}

fn why(server: &ServerView) -> String {
    let failing = match (server.failing_checks.as_slice(), &server.detail) {
        ([], _) => None,
        (checks, Some(detail)) => Some(format!("{}: {detail}", checks.join(", "))),
        (checks, None) => Some(checks.join(", ")),
    };
    let drained = server.drain.as_ref().map(|drain| format!("drained {}", held(drain)));
    drained.into_iter().chain(failing).collect::<Vec<_>>().join("; ")
}
