//! Pools of servers, and the balancers behind them.

use std::path::PathBuf;
use std::time::Duration;

use ha_engine::PoolConfig;

/// `[[pool]]`: servers, and what balances the load over them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pool {
    /// Who is in, when, and whether the pool is worth using.
    pub config: PoolConfig,
    /// What uses the servers; `None` = nothing, only the pool's verdict is of interest.
    pub balancer: Option<Balancer>,
}

/// What uses the servers of a pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Balancer {
    /// `[pool.nginx]`: the nginx of `[nginx]`.
    Nginx(NginxPool),
}

/// `[pool.nginx]`: how the pool is written for nginx.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NginxPool {
    /// Absolute path of the file that is written and that nginx includes; default `/etc/nginx/ha-agent/NAME.servers`.
    pub file: PathBuf,
    /// What stands in it.
    pub form: NginxForm,
    /// How a sorry server is written.
    pub sorry: NginxSorry,
    /// Whether nginx's own passive checks judge the servers, too; default false.
    pub passive_checks: bool,
}

/// What stands in a pool's file for nginx.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum NginxForm {
    /// `server` lines, to be included within `upstream NAME { … }`.
    #[default]
    Servers,
    /// A whole `upstream NAME { … }` with the pool's name, to be included within `http { … }`.
    Upstream,
}

/// How a sorry server is written for nginx.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum NginxSorry {
    /// Always, as `backup`.
    #[default]
    Standby,
    /// Only when no other server is left, because nginx's methods hash, ip_hash and random know no `backup`.
    Alone,
}

/// `[nginx]`: the nginx of this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nginx {
    /// The program that tests the configuration; default `/usr/sbin/nginx`.
    pub program: PathBuf,
    /// Its main configuration file (`-c`); `None` = the one built into it.
    pub configuration: Option<PathBuf>,
    /// Its prefix (`-p`); `None` = the one built into it.
    pub prefix: Option<PathBuf>,
    /// Where the running master's process id stands; default `/run/nginx.pid`.
    pub pid_file: PathBuf,
    /// Program and arguments that test the configuration instead of `program -T`.
    pub test: Option<Vec<String>>,
    /// Program and arguments that make it reload instead of SIGHUP to the master.
    pub reload: Option<Vec<String>>,
    /// For a test or a reload command, 100 ms ..= 10 min; default 10 s.
    pub command_timeout: Duration,
    /// From the reload to the moment when only new workers accept connections, 100 ms ..= 10 min; default 10 s.
    pub reload_timeout: Duration,
}

impl Default for Nginx {
    fn default() -> Self {
        Self {
            program: "/usr/sbin/nginx".into(),
            configuration: None,
            prefix: None,
            pid_file: "/run/nginx.pid".into(),
            test: None,
            reload: None,
            command_timeout: Duration::from_secs(10),
            reload_timeout: Duration::from_secs(10),
        }
    }
}
