//! The API's description, written from the endpoints themselves.

use actix_web::http::StatusCode;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    AllOfBuilder, Components, Content, ObjectBuilder, OpenApi, Ref, RefOr, Response, Responses,
    Schema,
};
use utoipa::{Modify, OpenApi as _};

use super::api::admin::{
    clear_address_attempts, clear_user_attempts, create_user, delete_user, get_address_attempts,
    get_session, get_user, get_user_attempts, issue_password_link, list_events,
    list_sessions as list_all_sessions, list_user_sessions, list_users, lock_user,
    revoke_session as revoke_anyones_session, revoke_sessions as revoke_matching_sessions,
    revoke_user_sessions, set_role, unlock_user,
};
use super::api::{
    change_password, delete_account, exchange, health, jwks, list_revocations, list_sessions,
    login, logout, redeem_password, register, revoke_session, revoke_sessions, update_account,
    whoami,
};
use super::authz::{auth_request, ext_authz, forward_auth};
use super::effect::PendingBody;
use super::problem::{Document, Kind};
use crate::domain::audit::Action;

/// The API's description, as `OpenAPI` 3.1.
#[must_use]
pub fn openapi() -> OpenApi {
    Description::openapi()
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Gatelodge",
        description = "Sessions you can revoke, as fast as a JWT.",
        license(name = "MIT", identifier = "MIT"),
    ),
    tags(
        (name = "account", description = "Logging in and out, one's own account and sessions"),
        (name = "tokens", description = "For services that verify JWTs"),
        (name = "forward-auth", description = "For proxies: whether a request to an app may pass, and whose it is"),
        (name = "users", description = "Administration: users"),
        (name = "sessions", description = "Administration: sessions of everybody"),
        (name = "events", description = "Administration: the audit log"),
        (name = "revocations", description = "For other services: what has been revoked"),
        (name = "health", description = "For load balancers and orchestrators"),
    ),
    paths(
        register::register_user,
        login::create_session,
        exchange::exchange_jwt,
        logout::delete_current_session,
        whoami::get_current_session,
        list_sessions::list_sessions,
        revoke_sessions::revoke_sessions,
        revoke_session::revoke_session,
        change_password::change_password,
        redeem_password::redeem_password_link,
        update_account::update_account,
        delete_account::delete_account,
        forward_auth::check_forward_auth,
        auth_request::check_auth_request,
        ext_authz::check_ext_authz,
        list_users::list_users,
        create_user::create_user,
        get_user::get_user,
        delete_user::delete_user,
        issue_password_link::issue_password_link,
        lock_user::lock_user,
        unlock_user::unlock_user,
        get_user_attempts::get_user_attempts,
        clear_user_attempts::clear_user_attempts,
        get_address_attempts::get_address_attempts,
        clear_address_attempts::clear_address_attempts,
        set_role::set_role,
        list_user_sessions::list_user_sessions,
        revoke_user_sessions::revoke_user_sessions,
        list_all_sessions::list_all_sessions,
        revoke_matching_sessions::revoke_matching_sessions,
        get_session::get_session,
        revoke_anyones_session::revoke_anyones_session,
        list_events::list_events,
        list_revocations::list_revocations,
        jwks::get_jwks,
        health::get_alive,
        health::get_ready,
    ),
    components(schemas(Document, PendingBody)),
    modifiers(&Credentials, &OpenSets, &Emptied, &Waiting, &Problems),
)]
struct Description;

/// How requests say whose they are.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, api: &mut OpenApi) {
        let cookie = ApiKeyValue::with_description(
            "__Host-gatelodge_session",
            "Set by logging in. __Secure-gatelodge_session with cookie.domain, and \
             gatelodge_session on plain http with a loopback address.",
        );
        let components = api.components.get_or_insert_with(Components::new);
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("One of `revocations.credentials`."))
            .build();
        components.add_security_scheme("service", SecurityScheme::Http(bearer));
    }
}

/// Enumerations that later versions may extend: listed for clients that have an answer to
/// each, while a field that holds one is typed as any text.
struct OpenSets;

impl Modify for OpenSets {
    fn modify(&self, api: &mut OpenApi) {
        let codes: Vec<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        let actions: Vec<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        let components = api.components.get_or_insert_with(Components::new);
        for (name, description, texts) in [
            ("ProblemCode", "The codes of problems there are.", codes),
            ("Action", "What the audit log tells of.", actions),
        ] {
            let set = ObjectBuilder::new()
                .schema_type(Type::String)
                .description(Some(format!("{description} Later versions may have more.")))
                .enum_values(Some(texts));
            components.schemas.insert(name.to_owned(), set.into());
        }
    }
}

/// The operations that end sessions, and can be asked to wait for all instances.
const ENDING: &[&str] = &[
    "register_user",
    "create_session",
    "exchange_jwt",
    "delete_current_session",
    "revoke_sessions",
    "revoke_session",
    "change_password",
    "redeem_password_link",
    "update_account",
    "delete_account",
    "delete_user",
    "lock_user",
    "set_role",
    "revoke_user_sessions",
    "revoke_matching_sessions",
    "revoke_anyones_session",
];

/// `?wait=effective`, and its answer.
struct Waiting;

impl Modify for Waiting {
    fn modify(&self, api: &mut OpenApi) {
        let items = api.paths.paths.values_mut();
        let operations = items.flat_map(|item| {
            [
                &mut item.post,
                &mut item.put,
                &mut item.patch,
                &mut item.delete,
            ]
            .into_iter()
            .flatten()
        });
        let is_ending = |operation: &&mut Operation| {
            let id = operation.operation_id.as_deref();
            id.is_some_and(|id| ENDING.contains(&id))
        };
        for operation in operations.filter(is_ending) {
            let parameter = ParameterBuilder::new()
                .name("wait")
                .parameter_in(ParameterIn::Query)
                .description(Some(
                    "Answer when all instances refuse the sessions, or after 2 s with 202.",
                ))
                .schema(Some(
                    ObjectBuilder::new()
                        .schema_type(Type::String)
                        .enum_values(Some(["effective"])),
                ))
                .build();
            operation
                .parameters
                .get_or_insert_default()
                .push(RefOr::T(parameter));
            let mut answer = Response::new(
                "It is done, but with `wait=effective`: not all instances have said so yet.",
            );
            let content = Content::new(Some(pending(&operation.responses)));
            answer
                .content
                .insert("application/json".to_owned(), RefOr::T(content));
            let answers = &mut operation.responses.responses;
            answers.insert("202".to_owned(), RefOr::T(answer));
        }
    }
}

/// What the call answers otherwise, if anything, and how many are waited for.
fn pending(answers: &Responses) -> RefOr<Schema> {
    let pending = Ref::from_schema_name("Pending");
    let otherwise = answers.responses.values().find_map(|answer| match answer {
        RefOr::T(answer) => match answer.content.get("application/json")? {
            RefOr::T(content) => content.schema.clone(),
            RefOr::Ref(_) => None,
        },
        RefOr::Ref(_) => None,
    });
    match otherwise {
        Some(otherwise) => AllOfBuilder::new().item(otherwise).item(pending).into(),
        None => pending.into(),
    }
}

/// What a list is asked for and left empty, as forms do it.
struct Emptied;

impl Modify for Emptied {
    fn modify(&self, api: &mut OpenApi) {
        let items = api.paths.paths.values_mut();
        let lists = items.filter_map(|item| item.get.as_mut());
        for parameter in lists.flat_map(|list| list.parameters.iter_mut().flatten()) {
            if let RefOr::T(parameter) = parameter
                && matches!(parameter.parameter_in, ParameterIn::Query)
            {
                // utoipa has no field for it.
                let allowed = [("allowEmptyValue", true)].into_iter().collect();
                parameter.extensions = Some(allowed);
            }
        }
    }
}

/// The errors that an operation can be answered with because of what it is, and
/// the form of all errors.
struct Problems;

impl Modify for Problems {
    fn modify(&self, api: &mut OpenApi) {
        for (path, item) in &mut api.paths.paths {
            let changing = [
                &mut item.post,
                &mut item.put,
                &mut item.patch,
                &mut item.delete,
            ];
            for operation in changing.into_iter().flatten() {
                add(operation, Kind::CsrfFailed);
                complete(operation, path);
            }
            if let Some(operation) = &mut item.get {
                complete(operation, path);
            }
        }
    }
}

fn complete(operation: &mut Operation, path: &str) {
    if operation.request_body.is_some() {
        add(operation, Kind::MalformedJson);
        add(operation, Kind::IncompleteBody);
        add(operation, Kind::ContentTooLarge);
        add(operation, Kind::UnsupportedMediaType);
    }
    if operation.request_body.is_some() || takes_query(operation) {
        add(operation, Kind::InvalidInput);
    }
    if path == "/api/revocations" {
        add(operation, Kind::UnknownService);
        add(operation, Kind::UnknownPosition);
    } else if needs_session(operation) {
        add(operation, Kind::Unauthenticated);
    }
    if path.starts_with("/api/admin/") {
        add(operation, Kind::Forbidden);
    }
    if path != "/health/alive" {
        add(operation, Kind::Unavailable);
    }
    if path == "/health/ready" {
        add(operation, Kind::Draining);
        add(operation, Kind::StaleView);
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else {
            continue;
        };
        if response.description.is_empty() {
            response.description = reason(status).to_owned();
        }
        if status.as_str() >= "400" {
            let schema = Ref::from_schema_name("Problem");
            let content = RefOr::T(Content::new(Some(schema)));
            let media_type = "application/problem+json".to_owned();
            response.content.insert(media_type, content);
        }
    }
}

/// What a status says by itself: every answer has a description (`OpenAPI` 3.1, 4.8.17).
fn reason(status: &str) -> &'static str {
    let status = status.parse::<StatusCode>().ok();
    status
        .and_then(|it| it.canonical_reason())
        .unwrap_or_default()
}

/// Where none is needed, the first alternative is the empty requirement.
fn needs_session(operation: &Operation) -> bool {
    let first = operation.security.iter().flatten().next();
    first.is_some_and(|first| *first != SecurityRequirement::default())
}

fn takes_query(operation: &Operation) -> bool {
    operation
        .parameters
        .iter()
        .flatten()
        .any(|parameter| match parameter {
            RefOr::T(parameter) => matches!(parameter.parameter_in, ParameterIn::Query),
            RefOr::Ref(_) => false,
        })
}

/// Answers of one status are told apart by their code.
fn add(operation: &mut Operation, kind: Kind) {
    let code = format!("`{}`", kind.code());
    let status = kind.status().as_str().to_owned();
    let answers = &mut operation.responses.responses;
    match answers
        .entry(status)
        .or_insert_with(|| RefOr::T(Response::new("")))
    {
        RefOr::T(known) if known.description.is_empty() => known.description = code,
        RefOr::T(known) => known.description = format!("{}, {code}", known.description),
        RefOr::Ref(_) => {}
    }
}
