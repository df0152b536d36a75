//! Who may ask a proxied app for what: rules, the first of which that speaks of a
//! request decides. What no rule speaks of needs a session.

use crate::domain::target::{Host, Method, Path, Target, Unclear};
use crate::domain::user::Role;

#[derive(Clone, Debug)]
pub struct Rule {
    /// `None`: any.
    pub host: Option<HostPattern>,
    /// The folder that the rule is about; `None`: any.
    pub path: Option<Path>,
    /// Empty: any.
    pub methods: Vec<Method>,
    pub require: Requirement,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    Exactly(Host),
    /// All hosts of a domain, however deep, but not the domain itself.
    Below(Host),
}

impl HostPattern {
    /// `app.example.com`, or `*.example.com`: on any port.
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(text: &str) -> Result<Self, Unclear> {
        let has_port = text
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.ends_with(']'));
        if has_port {
            return Err(Unclear::Host);
        }
        match text.strip_prefix("*.") {
            Some(domain) => Host::parse(domain).map(Self::Below),
            None => Host::parse(text).map(Self::Exactly),
        }
    }

    fn is_of(&self, host: &Host) -> bool {
        match self {
            Self::Exactly(one) => host == one,
            Self::Below(domain) => host.is_below(domain),
        }
    }
}

/// Who may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    Nobody,
    Anyone,
    /// Who is logged in.
    User,
    Admin,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be nobody, anyone, user or admin")]
pub struct UnknownRequirement;

impl Requirement {
    /// # Errors
    /// If there is none of that name.
    pub fn parse(name: &str) -> Result<Self, UnknownRequirement> {
        match name {
            "nobody" => Ok(Self::Nobody),
            "anyone" => Ok(Self::Anyone),
            "user" => Ok(Self::User),
            "admin" => Ok(Self::Admin),
            _ => Err(UnknownRequirement),
        }
    }

    /// Whether somebody may pass: of that role, or `None` without a session.
    #[must_use]
    pub const fn is_met_by(self, role: Option<Role>) -> bool {
        match self {
            Self::Nobody => false,
            Self::Anyone => true,
            Self::User => role.is_some(),
            Self::Admin => matches!(role, Some(Role::Admin)),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Rule>);

impl Rules {
    #[must_use]
    pub const fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// # Errors
    /// If servers that care less about spelling would see another rule broken.
    pub fn requirement(&self, target: &Target) -> Result<Requirement, Unclear> {
        for rule in &self.0 {
            if rule.is_about(target)? {
                return Ok(rule.require);
            }
        }
        Ok(Requirement::User)
    }
}

impl Rule {
    fn is_about(&self, target: &Target) -> Result<bool, Unclear> {
        let host = self.host.as_ref();
        let is_about_host = host.is_none_or(|host| host.is_of(&target.host));
        let mut methods = self.methods.iter();
        let is_about_method =
            self.methods.is_empty() || methods.any(|method| method.answers(&target.method));
        match &self.path {
            _ if !is_about_host || !is_about_method => Ok(false),
            Some(folder) => target.path.is_within(folder),
            None => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(host: &str, path: &str, methods: &[&str], require: Requirement) -> Rule {
        Rule {
            host: (!host.is_empty()).then(|| HostPattern::parse(host).unwrap()),
            path: (!path.is_empty()).then(|| Path::parse(path).unwrap()),
            methods: methods
                .iter()
                .map(|it| Method::parse(it).unwrap())
                .collect(),
            require,
        }
    }

    fn required(rules: &Rules, request: &str) -> Result<Requirement, Unclear> {
        let (method, address) = request.split_once(' ').unwrap();
        let slash = address.find('/').unwrap();
        let target = Target::parse(method, &address[..slash], &address[slash..]);
        rules.requirement(&target.unwrap())
    }

    #[test]
    fn the_first_rule_that_is_about_a_request_decides() {
        use Requirement::{Admin, Anyone, Nobody, User};
        let rules = Rules::new(vec![
            rule("app.example.com", "/admin/public", &[], Anyone),
            rule("app.example.com", "/admin/", &[], Admin),
            rule("app.example.com", "/notes", &["GET"], Anyone),
            rule("app.example.com", "/notes", &["DELETE", "PUT"], Nobody),
            rule("*.example.com", "/health", &["GET"], Anyone),
            rule("*.example.com", "", &["OPTIONS"], Anyone),
        ]);
        for (request, requirement) in [
            ("GET app.example.com/admin/public/x", Anyone),
            ("GET app.example.com/admin/publicity", Admin),
            ("GET app.example.com/admin", Admin),
            ("POST APP.example.com:8443/admin/x", Admin),
            ("OPTIONS app.example.com/admin/x", Admin),
            ("GET app.example.com/notes/1", Anyone),
            ("HEAD app.example.com/notes/1", Anyone),
            ("POST app.example.com/notes", User),
            ("PUT app.example.com/notes/1", Nobody),
            ("GET other.example.com/admin/", User),
            ("GET a.b.example.com/health", Anyone),
            ("GET example.com/health", User),
            ("GET evilexample.com/health", User),
            ("GET app.example.com.evil.example/health", User),
            ("OPTIONS other.example.com/x", Anyone),
            ("GET elsewhere.example/", User),
        ] {
            assert_eq!(required(&rules, request), Ok(requirement), "{request}");
        }
    }

    #[test]
    fn a_rule_that_is_almost_met_is_not_passed_over() {
        let rules = Rules::new(vec![
            rule("", "/admin", &["POST"], Requirement::Admin),
            rule("", "", &[], Requirement::Anyone),
        ]);
        let anyone = Ok(Requirement::Anyone);
        assert_eq!(required(&rules, "GET app.example.com/Admin/x"), anyone);
        let unclear = Err(Unclear::Path);
        assert_eq!(required(&rules, "POST app.example.com/Admin/x"), unclear);
    }

    #[test]
    fn without_rules_all_need_a_session() {
        let none = Rules::default();
        let user = Ok(Requirement::User);
        assert_eq!(required(&none, "GET app.example.com/"), user);
    }

    #[test]
    fn a_requirement_is_met_by_its_role_and_above() {
        use Requirement::{Admin, Anyone, Nobody, User};
        let met = |role| [Nobody, Anyone, User, Admin].map(|it| it.is_met_by(role));
        assert_eq!(met(None), [false, true, false, false]);
        assert_eq!(met(Some(Role::User)), [false, true, true, false]);
        assert_eq!(met(Some(Role::Admin)), [false, true, true, true]);
    }
}
