//! What is measured, in sections that can be run alone.

mod capacity;
mod check;
mod jwt;
mod pages;
mod peers;
mod proxy;
mod scale;
mod storm;

use anyhow::{Result, anyhow};

use crate::report::Results;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Check,
    Scale,
    Storm,
    Pages,
    Capacity,
    Jwt,
    Proxy,
    Peers,
}

impl Section {
    pub const ALL: [Self; 8] = [
        Self::Check,
        Self::Scale,
        Self::Storm,
        Self::Pages,
        Self::Capacity,
        Self::Jwt,
        Self::Proxy,
        Self::Peers,
    ];
    /// What runs if none is named: the proxy needs nginx, the peers what their packages do.
    pub const USUAL: [Self; 6] = [
        Self::Check,
        Self::Scale,
        Self::Storm,
        Self::Pages,
        Self::Capacity,
        Self::Jwt,
    ];

    pub fn parse(name: &str) -> Result<Self> {
        let section = Self::ALL.into_iter().find(|section| section.name() == name);
        section.ok_or_else(|| anyhow!("there is no section {name}"))
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Scale => "scale",
            Self::Storm => "storm",
            Self::Pages => "pages",
            Self::Capacity => "capacity",
            Self::Jwt => "jwt",
            Self::Proxy => "proxy",
            Self::Peers => "peers",
        }
    }

    pub const fn title(self) -> &'static str {
        match self {
            Self::Check => "One check",
            Self::Scale => "A million sessions",
            Self::Storm => "Checks in a storm of log-ins",
            Self::Pages => "Pages",
            Self::Capacity => "What an instance costs what it shares",
            Self::Jwt => "Sessions and JWTs",
            Self::Proxy => "Forward-auth through nginx",
            Self::Peers => "What users would pick instead",
        }
    }

    pub const fn about(self) -> &'static str {
        match self {
            Self::Check => check::ABOUT,
            Self::Scale => scale::ABOUT,
            Self::Storm => storm::ABOUT,
            Self::Pages => pages::ABOUT,
            Self::Capacity => capacity::ABOUT,
            Self::Jwt => jwt::ABOUT,
            Self::Proxy => proxy::ABOUT,
            Self::Peers => peers::ABOUT,
        }
    }

    pub fn run(self) -> Result<Results> {
        match self {
            Self::Check => check::run(),
            Self::Scale => scale::run(),
            Self::Storm => storm::run(),
            Self::Pages => pages::run(),
            Self::Capacity => capacity::run(),
            Self::Jwt => jwt::run(),
            Self::Proxy => proxy::run(),
            Self::Peers => peers::run(),
        }
    }
}
