//! Comparisons of whole policy sets, each beside what the engine's own evaluation says.

mod cases;
mod kinds;
mod laws;
mod requests;
mod shown;

use crate::PolicySet;
use crate::compare::{Change, decisions};
use crate::tests::{World, decide};

/// A policy set with these profiles, an agreement `a0`, `a1`, … for each in turn, and guards.
fn set(guards: &[&str], profiles: &[(&str, &str)]) -> PolicySet {
    let mut access = "purposes: [research]\nguards:".to_owned();
    for (index, rows) in guards.iter().enumerate() {
        access = format!("{access}\n  - {{id: g{index}, rows: \"{rows}\"}}");
    }
    if guards.is_empty() {
        access += " []";
    }
    access += "\nprofiles:\n";
    for (index, (rows, shown)) in profiles.iter().enumerate() {
        access = format!("{access}  p{index}: {{rows: \"{rows}\", {shown}}}\n");
    }
    let mut world = World::new().contract(&access);
    for index in 0..profiles.len() {
        world = world.agreement(&format!("a{index}"), &format!("p{index}"), "");
    }
    match world.compile() {
        Ok((set, _)) => set,
        Err(problems) => panic!("{problems}"),
    }
}

fn change(old: &PolicySet, new: &PolicySet) -> Option<Change> {
    decisions((old, &decide(old)), (new, &decide(new)))
}
