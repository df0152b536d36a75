//! The table of routes, whole, and how each is wrapped.

use actix_web::body::BoxBody;
use actix_web::dev::{HttpServiceFactory, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{ServiceConfig, resource, route, to};
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, Route};

use super::api::admin::{
    self, clear_address_attempts, clear_user_attempts, create_user, delete_user,
    get_address_attempts, get_session, get_user, get_user_attempts, issue_password_link,
    list_events, list_user_sessions, list_users, lock_user, revoke_user_sessions, set_role,
    unlock_user,
};
use super::api::{
    change_password, delete_account, exchange, health, jwks, list_revocations, list_sessions,
    login, logout, redeem_password, register, revoke_session, revoke_sessions, update_account,
    whoami,
};
use super::authz::{auth_request, ext_authz, forward_auth};
use super::carrier::carry;
use super::edge::Deadline;
use super::effect;
use super::gate::Gate;
use super::pages::friendly;
use super::problem::{Kind, Problem};
use super::services::Services;
use crate::telemetry::metrics;

/// Whether it is what apps and proxies ask at every request of theirs.
pub(super) fn is_check(path: &str) -> bool {
    path == "/api/sessions/whoami" || path.starts_with("/api/authz/")
}

/// Whether it is what browsers ask for with every page.
pub(super) fn is_asset(path: &str) -> bool {
    path.starts_with("/assets/")
}

impl Services {
    /// Adds the API (`/api`, `/health`, `/.well-known/jwks.json`), the pages (`/`, `/login`,
    /// `/logout`, `/register`, `/account`, `/admin`, `/setup`, `/password`, `/problems`, `/docs`,
    /// `/openapi.json`, `/assets/gatelodge.*`), and what [`Services::attach`] adds. actix takes
    /// the first route that fits: one of the app's own with such a path goes before.
    pub fn mount(&self, app: &mut ServiceConfig) {
        self.attach(app);
        self.mount_api(app);
        self.mount_pages(app);
    }

    /// Adds the API: first what is asked most, since routes are tried in this order.
    #[rustfmt::skip]
    fn mount_api(&self, app: &mut ServiceConfig) {
        app.service(plain(self, "/api/sessions/whoami", Deadline::USUAL, [gated(get(whoami::get_current_session))]))
           .service(check(self, "/api/authz/forward-auth", any(forward_auth::check_forward_auth)))
           .service(check(self, "/api/authz/auth-request", any(auth_request::check_auth_request)))
           .service(check(self, "/api/authz/ext-authz/{path:.*}", any(ext_authz::check_ext_authz)))
           .service(carried(self, "/api/register", Deadline::HASHING, [ending(post(register::register_user))]))
           .service(carried(self, "/api/login", Deadline::HASHING, [ending(post(login::create_session))]))
           .service(carried(self, "/api/sessions/exchange", Deadline::USUAL, [ending(post(exchange::exchange_jwt))]))
           .service(carried(self, "/api/logout", Deadline::USUAL, [ending(post(logout::delete_current_session))]))
           .service(plain(self, "/api/sessions", Deadline::USUAL, [gated(get(list_sessions::list_sessions)), gated(ending(delete(revoke_sessions::revoke_sessions)))]))
           .service(plain(self, "/api/sessions/{id}", Deadline::USUAL, [gated(ending(delete(revoke_session::revoke_session)))]))
           .service(carried(self, "/api/password", Deadline::HASHING, [gated(ending(post(change_password::change_password)))]))
           .service(plain(self, "/api/password/redeem", Deadline::HASHING, [ending(post(redeem_password::redeem_password_link))]))
           .service(carried(self, "/api/account", Deadline::HASHING, [gated(ending(patch(update_account::update_account))), gated(ending(delete(delete_account::delete_account)))]))
           .service(plain(self, "/api/admin/users", Deadline::USUAL, [admins(get(list_users::list_users)), admins(post(create_user::create_user))]))
           .service(plain(self, "/api/admin/users/{id}", Deadline::USUAL, [admins(get(get_user::get_user)), admins(ending(delete(delete_user::delete_user)))]))
           .service(plain(self, "/api/admin/users/{id}/password-link", Deadline::USUAL, [admins(post(issue_password_link::issue_password_link))]))
           .service(plain(self, "/api/admin/users/{id}/lock", Deadline::USUAL, [admins(ending(post(lock_user::lock_user)))]))
           .service(plain(self, "/api/admin/users/{id}/unlock", Deadline::USUAL, [admins(post(unlock_user::unlock_user))]))
           .service(plain(self, "/api/admin/users/{id}/role", Deadline::USUAL, [admins(ending(put(set_role::set_role)))]))
           .service(plain(self, "/api/admin/users/{id}/attempts", Deadline::USUAL, [admins(get(get_user_attempts::get_user_attempts)), admins(delete(clear_user_attempts::clear_user_attempts))]))
           .service(plain(self, "/api/admin/addresses/{ip}/attempts", Deadline::USUAL, [admins(get(get_address_attempts::get_address_attempts)), admins(delete(clear_address_attempts::clear_address_attempts))]))
           .service(plain(self, "/api/admin/users/{id}/sessions", Deadline::USUAL, [admins(get(list_user_sessions::list_user_sessions)), admins(ending(delete(revoke_user_sessions::revoke_user_sessions)))]))
           .service(plain(self, "/api/admin/sessions", Deadline::USUAL, [admins(get(admin::list_sessions::list_all_sessions))]))
           .service(plain(self, "/api/admin/sessions/revoke", Deadline::BULK, [admins(ending(post(admin::revoke_sessions::revoke_matching_sessions)))]))
           .service(plain(self, "/api/admin/sessions/{id}", Deadline::USUAL, [admins(get(get_session::get_session)), admins(ending(delete(admin::revoke_session::revoke_anyones_session)))]))
           .service(plain(self, "/api/admin/events", Deadline::USUAL, [admins(get(list_events::list_events))]))
           .service(plain(self, "/api/revocations", Deadline::USUAL, [get(list_revocations::list_revocations)]))
           .service(plain(self, "/.well-known/jwks.json", Deadline::USUAL, [get(jwks::get_jwks)]))
           .service(plain(self, "/health/alive", Deadline::USUAL, [get(health::get_alive)]))
           .service(plain(self, "/health/ready", Deadline::USUAL, [get(health::get_ready)]));
    }

    /// Adds the pages.
    #[rustfmt::skip]
    fn mount_pages(&self, app: &mut ServiceConfig) {
        use super::pages::{
            account, admin, assets, docs, get_home, login, logout, password, problems, register, setup,
        };

        app.service(page(plain(self, "/", Deadline::USUAL, [get(get_home)])))
           .service(page(carried(self, "/login", Deadline::HASHING, [get(login::get_login), post(login::log_in)])))
           .service(page(carried(self, "/register", Deadline::HASHING, [get(register::get_register), post(register::register_user)])))
           .service(page(carried(self, "/logout", Deadline::USUAL, [post(logout::log_out)])))
           .service(page(plain(self, "/account", Deadline::USUAL, [gated(get(account::get_account))])))
           .service(page(plain(self, "/account/name", Deadline::USUAL, [gated(get(account::name::get_name)), gated(post(account::name::change_name))])))
           .service(page(plain(self, "/account/email", Deadline::HASHING, [gated(get(account::email::get_email)), gated(post(account::email::change_email))])))
           .service(page(carried(self, "/account/password", Deadline::HASHING, [gated(get(account::password::get_password)), gated(post(account::password::change_password))])))
           .service(page(carried(self, "/account/delete", Deadline::HASHING, [gated(get(account::delete::get_delete)), gated(post(account::delete::delete_account))])))
           .service(page(plain(self, "/account/sessions/end-others", Deadline::USUAL, [gated(post(account::sessions::end_others))])))
           .service(page(plain(self, "/account/sessions/{id}/end", Deadline::USUAL, [gated(post(account::sessions::end_session))])))
           .service(page(plain(self, "/admin", Deadline::USUAL, [admins(get(admin::get_admin))])))
           .service(page(plain(self, "/admin/users", Deadline::USUAL, [admins(get(admin::users::get_users))])))
           .service(page(plain(self, "/admin/users/new", Deadline::USUAL, [admins(get(admin::new_user::get_new_user)), admins(post(admin::new_user::create_user))])))
           .service(page(plain(self, "/admin/users/{id}", Deadline::USUAL, [admins(get(admin::user::get_user))])))
           .service(page(plain(self, "/admin/users/{id}/lock", Deadline::USUAL, [admins(post(admin::user::lock_user))])))
           .service(page(plain(self, "/admin/users/{id}/unlock", Deadline::USUAL, [admins(post(admin::user::unlock_user))])))
           .service(page(plain(self, "/admin/users/{id}/role", Deadline::USUAL, [admins(get(admin::user::get_role)), admins(post(admin::user::set_role))])))
           .service(page(plain(self, "/admin/users/{id}/password-link", Deadline::USUAL, [admins(post(admin::user::issue_password_link))])))
           .service(page(plain(self, "/admin/users/{id}/end-sessions", Deadline::USUAL, [admins(post(admin::user::end_sessions))])))
           .service(page(plain(self, "/admin/users/{id}/clear-attempts", Deadline::USUAL, [admins(post(admin::user::clear_attempts))])))
           .service(page(plain(self, "/admin/users/{id}/delete", Deadline::USUAL, [admins(get(admin::user::get_delete_user)), admins(post(admin::user::delete_user))])))
           .service(page(plain(self, "/admin/sessions", Deadline::USUAL, [admins(get(admin::sessions::get_sessions))])))
           .service(page(plain(self, "/admin/sessions/end", Deadline::BULK, [admins(get(admin::end_sessions::preview)), admins(post(admin::end_sessions::end_sessions))])))
           .service(page(plain(self, "/admin/sessions/{id}/end", Deadline::USUAL, [admins(post(admin::sessions::end_session))])))
           .service(page(plain(self, "/admin/events", Deadline::USUAL, [admins(get(admin::events::get_events))])))
           .service(page(plain(self, "/setup", Deadline::HASHING, [get(setup::get_setup), post(setup::set_up)])))
           .service(page(plain(self, "/password", Deadline::HASHING, [get(password::get_password), post(password::set_password)])))
           .service(page(plain(self, "/problems/{code}", Deadline::USUAL, [get(problems::get_problem)])))
           .service(page(plain(self, "/docs", Deadline::USUAL, [get(docs::get_docs)])))
           .service(plain(self, "/openapi.json", Deadline::USUAL, [get(docs::get_openapi)]))
           .service(plain(self, "/assets/gatelodge.css", Deadline::USUAL, [get(assets::get_style)]))
           .service(plain(self, "/assets/gatelodge.js", Deadline::USUAL, [get(assets::get_script)]))
           .service(plain(self, "/assets/gatelodge.svg", Deadline::USUAL, [get(assets::get_icon)]));
    }

    /// Answers what no other route does with 404.
    pub fn mount_fallback(&self, app: &mut ServiceConfig) {
        let answer = || async { Err::<HttpResponse, _>(Problem::from(Kind::NotFound)) };
        let edge = self.edge.clone();
        let guarded = route().to(answer).wrap(from_fn(
            move |request: ServiceRequest, next: Next<BoxBody>| {
                edge.clone()
                    .guard(metrics::Route::OTHER, Deadline::USUAL, request, next)
            },
        ));
        app.default_service(guarded.wrap(from_fn(friendly::explain)));
    }
}

/// A route that leaves the cookie alone.
fn plain<const N: usize>(
    services: &Services,
    path: &'static str,
    deadline: Deadline,
    verbs: [Verb; N],
) -> Resource<impl Guarded + use<N>> {
    let (edge, at) = (services.edge.clone(), metrics::Route::of(path));
    answering(path, verbs).wrap(from_fn(
        move |request: ServiceRequest, next: Next<BoxBody>| {
            edge.clone().guard(at, deadline, request, next)
        },
    ))
}

/// A route that issues or ends the session that the cookie carries.
fn carried<const N: usize>(
    services: &Services,
    path: &'static str,
    deadline: Deadline,
    verbs: [Verb; N],
) -> Resource<impl Guarded + use<N>> {
    let (edge, at) = (services.edge.clone(), metrics::Route::of(path));
    answering(path, verbs)
        .wrap(services.inner_cookie.middleware(&services.sessions))
        .wrap(from_fn(carry::<BoxBody>))
        .wrap(from_fn(
            move |request: ServiceRequest, next: Next<BoxBody>| {
                edge.clone().guard(at, deadline, request, next)
            },
        ))
}

/// A page: what goes wrong on the way to it is shown as one.
fn page(resource: Resource<impl Guarded>) -> impl HttpServiceFactory + 'static {
    resource.wrap(from_fn(friendly::explain))
}

/// A route behind the guard of the edge.
trait Guarded:
    ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse,
        Error = actix_web::Error,
        InitError = (),
    > + 'static
{
}

impl<T> Guarded for T where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse,
            Error = actix_web::Error,
            InitError = (),
        > + 'static
{
}

/// A route that proxies ask whether a request may pass.
fn check(
    services: &Services,
    path: &'static str,
    route: Route,
) -> impl HttpServiceFactory + use<> + 'static {
    let (edge, at) = (services.edge.clone(), metrics::Route::of(path));
    resource(path).route(route).wrap(from_fn(
        move |request: ServiceRequest, next: Next<BoxBody>| {
            edge.clone().guard_check(at, request, next)
        },
    ))
}

/// For who is logged in. Whatever else is wrong with a request, that comes first.
fn gated(verb: Verb) -> Verb {
    Verb {
        route: verb.route.wrap(Gate::session()),
        ..verb
    }
}

/// For what ends sessions, and can be asked to wait until all instances know.
fn ending(verb: Verb) -> Verb {
    Verb {
        route: verb.route.wrap(from_fn(effect::wait)),
        ..verb
    }
}

/// For administrators.
fn admins(verb: Verb) -> Verb {
    Verb {
        route: verb.route.wrap(Gate::admin()),
        ..verb
    }
}

struct Verb {
    /// As `Allow` lists it.
    name: &'static str,
    route: Route,
}

fn answering<const N: usize>(path: &'static str, verbs: [Verb; N]) -> Resource {
    let allowed = verbs.each_ref().map(|verb| verb.name).join(", ");
    let refuse = move || {
        let mut refusal = HttpResponse::from_error(Problem::from(Kind::MethodNotAllowed));
        if let Ok(allowed) = allowed.as_str().try_into() {
            refusal.headers_mut().insert(ALLOW, allowed);
        }
        async { refusal }
    };
    verbs
        .into_iter()
        .fold(resource(path), |resource, verb| resource.route(verb.route))
        .default_service(to(refuse))
}

/// Whatever answers GET answers HEAD (RFC 9110, 9.1); actix leaves out the body.
fn get<F, Args>(handler: F) -> Verb
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let either = actix_web::guard::Any(actix_web::guard::Get()).or(actix_web::guard::Head());
    Verb {
        name: "GET, HEAD",
        route: route().guard(either).to(handler),
    }
}

/// Whatever the method.
fn any<F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    route().to(handler)
}

macro_rules! verbs {
    ($($verb:ident: $method:ident),*) => {
        $(fn $verb<F, Args>(handler: F) -> Verb
        where
            F: Handler<Args>,
            Args: FromRequest + 'static,
            F::Output: Responder + 'static,
        {
            Verb {
                name: stringify!($method),
                route: route().method(Method::$method).to(handler),
            }
        })*
    };
}

verbs!(post: POST, put: PUT, patch: PATCH, delete: DELETE);
