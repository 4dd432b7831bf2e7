//! Which route is tried first.
//!
//! Rocket tries the routes of one method in turn, by their ranks, and those of one rank in the order they were mounted in: the
//! application's before the library's. What browsers ask for again and again need not wait for all of them.
//!
//! Rocket refuses a launch with two routes at one place only when they have the same rank. So this is looked at here.

use rocket::Route;

/// Before everything that has Rocket's own rank, which is -12 at the least.
const FIRST: isize = -13;

/// The routes, to be tried before those of the application.
#[cfg(feature = "server")]
pub(crate) fn tried_first(mut routes: Vec<Route>) -> Vec<Route> {
    for route in &mut routes {
        route.rank = FIRST;
    }
    routes
}

/// A route at the place of one of the library's that is tried first: nobody would ever reach the other.
pub(super) fn rival<'a>(routes: &[&'a Route], own_base: &str) -> Option<&'a Route> {
    let own_base = if own_base.is_empty() { "/" } else { own_base };
    let is_first = |route: &Route| route.rank == FIRST && route.uri.base() == own_base;
    let same_place =
        |one: &Route, other: &Route| one.method == other.method && one.uri.path() == other.uri.path();
    let mut first = routes.iter().filter(|route| is_first(route));
    first.find_map(|own| routes.iter().find(|other| !is_first(other) && same_place(own, other)).copied())
}
