//! Who is at the other end of the connection.
//!
//! The address is the socket's own. A header speaks for it only when the socket belongs to a proxy listed in
//! `trusted_proxies`: then it is the rightmost address in `X-Forwarded-For` that is not itself such a proxy. Rocket's
//! `client_ip()` is not asked, because by default it believes whatever `X-Real-IP` a client sends.

use std::net::IpAddr;

use rocket::Request;

use crate::config::Network;

/// The longest `User-Agent` kept, in characters.
#[cfg(feature = "server")]
const MAX_USER_AGENT: usize = 256;

/// The client's network address, when it is known.
pub(crate) fn address_of(request: &Request<'_>, trusted: &[Network]) -> Option<IpAddr> {
    let peer = request.remote()?.ip().to_canonical();
    if !is_trusted(peer, trusted) {
        return Some(peer);
    }
    let forwarded: Vec<&str> = request.headers().get("x-forwarded-for").collect();
    Some(resolve(peer, &forwarded, trusted))
}

/// Whether a proxy that may speak for others sent the request.
pub(crate) fn is_from_proxy(request: &Request<'_>, trusted: &[Network]) -> bool {
    request.remote().is_some_and(|peer| is_trusted(peer.ip().to_canonical(), trusted))
}

fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// Address and browser.
#[cfg(feature = "server")]
pub(crate) fn client_of(request: &Request<'_>, trusted: &[Network]) -> crate::signin::Client {
    let user_agent = request.headers().get_one("user-agent");
    crate::signin::Client {
        address: address_of(request, trusted),
        user_agent: user_agent.map(|text| text.chars().take(MAX_USER_AGENT).collect()),
    }
}

fn resolve(peer: IpAddr, forwarded: &[&str], trusted: &[Network]) -> IpAddr {
    let mut known = peer;
    let hops = forwarded.iter().rev().flat_map(|line| line.rsplit(','));
    for hop in hops {
        if !is_trusted(known, trusted) {
            break;
        }
        // A proxy that writes no address tells nothing: what is known is the proxy itself.
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        known = address.to_canonical();
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<Network> =
            trusted.iter().map(|text| Network { address: text.parse().unwrap(), prefix: 8 }).collect();
        resolve(peer.parse().unwrap(), forwarded, &trusted).to_string()
    }

    #[test]
    fn a_header_speaks_only_through_a_listed_proxy() {
        assert_eq!(from("192.0.2.1", &["198.51.100.7"], &[]), "192.0.2.1");
        assert_eq!(from("10.0.0.1", &["198.51.100.7"], &["10.0.0.0"]), "198.51.100.7");
        assert_eq!(from("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"], &["10.0.0.0"]), "198.51.100.7");
        assert_eq!(from("10.0.0.1", &["203.0.113.9", "198.51.100.7"], &["10.0.0.0"]), "198.51.100.7");
        assert_eq!(from("10.0.0.1", &["198.51.100.7, nonsense"], &["10.0.0.0"]), "10.0.0.1");
    }
}
