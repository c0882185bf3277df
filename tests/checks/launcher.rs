//! Starts the programs of script checks for the tests, as the agent's own binary does for the agent. A test's binary cannot
//! be the launcher, because its `main` is not ours.

fn main() {
    ha_probe::command::launcher_main();
    eprintln!(
        "this is a launcher: it runs one command for whoever started it, and nothing when started by hand"
    );
    std::process::exit(2);
}
