//! What forward-auth costs a proxy.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::baselines::{COOKIES, PATH};
use crate::http::Client;
use crate::load::Target;
use crate::process::{OTHERS, Process, SERVER};
use crate::report::{Figure, Results, shown};
use crate::rounds::{Contender, Rounds, rounds_of_one_start, rounds_of_starts};
use crate::stand::{Stand, build_service, cookie, root};
use crate::support::servers::free_port;

pub const ABOUT: &str = "\
nginx with the shipped file, in front of an app that answers nothing; beside it the same
nginx whose `auth_request` goes to an empty handler, and to one that looks at nothing but
gives Gatelodge's answer, whose headers nginx reads and some of which the app is sent. nginx, the app and who is asked
have one worker each and share core 0; the load (50 connections kept alive, 1000 cookies in
turn), Redis and PostgreSQL share core 1. All is started five times, for seven rounds
each; medians.";

const CHECK: &str = "/api/authz/auth-request";

const GATELODGE: usize = 0;
const EMPTY: usize = 1;
const UNSEEN: usize = 2;
const NAMES: [&str; 3] = [
    "nginx, asking Gatelodge",
    "nginx, asking an empty handler",
    "nginx, asking a handler that gives Gatelodge's answer unseen",
];

pub fn run() -> Result<Results> {
    build_service()?;
    OTHERS.keep_to()?;
    let stand = Stand::start()?;
    let users = stand.logged_in(COOKIES)?;
    let cookies: Vec<_> = users.iter().map(|issued| cookie(&issued.token)).collect();
    let rounds = rounds_of_starts(|| started_anew(&stand, &cookies))?;
    let per_second = |index: usize| {
        let speed = shown(rounds.per_second(index), " requests/s");
        Figure::plain(NAMES[index], speed)
    };
    Ok(Results {
        comparison: None,
        costs: Vec::new(),
        figures: vec![
            per_second(GATELODGE),
            per_second(EMPTY),
            per_second(UNSEEN),
            Figure::at_least(
                "requests per second asking Gatelodge, to those asking an empty handler",
                rounds.speed_ratio(GATELODGE, EMPTY),
                0.9,
                " ×",
            ),
            Figure::plain(
                "the same of a handler that gives Gatelodge's answer unseen",
                shown(rounds.speed_ratio(UNSEEN, EMPTY), " ×"),
            ),
            Figure::plain(
                "nginx's own CPU time per request, to that when asking an empty handler",
                shown(rounds.cpu_ratio(GATELODGE, EMPTY), " ×"),
            ),
            Figure::plain(
                "the same when Gatelodge's answer is given unseen",
                shown(rounds.cpu_ratio(UNSEEN, EMPTY), " ×"),
            ),
        ],
    })
}

/// Rounds with processes of which none was there before.
fn started_anew(stand: &Stand, cookies: &[String]) -> Result<Rounds> {
    let settings = [
        ("GATELODGE_SERVER__WORKERS", "1"),
        ("GATELODGE_SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let service = stand.service(SERVER, &settings)?;
    let (app, _) = stand.baseline("floor", 0, &[])?;
    let (empty, _) = stand.baseline("floor", 0, &[])?;
    let (unseen, _) = stand.baseline("unseen", 0, &[])?;
    let length = |asked: &Process, path| {
        let described = "X-Original-Method: GET\r\nX-Original-URL: http://localhost/check\r\n";
        let headers = format!("Cookie: {}\r\n{described}", cookies[0]);
        let answer = Client::connect(asked.address)?.get_with(&headers, path)?;
        anyhow::Ok(answer.length())
    };
    ensure!(
        length(&service, CHECK)? == length(&unseen, PATH)?,
        "another answer"
    );
    let folder = tempfile::tempdir()?;
    let nginx = |name, asked, path| nginx(folder.path(), name, asked, path, &app);
    let in_front = [
        nginx("gatelodge", &service, CHECK)?,
        nginx("empty", &empty, PATH)?,
        nginx("unseen", &unseen, PATH)?,
    ];
    let mut stranger = Client::connect(in_front[GATELODGE].address)?;
    let refused = stranger.get(PATH, "a=b")?;
    ensure!(refused.status == 401, "nobody is asked: {}", refused.text());
    let contenders = NAMES.iter().zip(&in_front).map(|(name, nginx)| Contender {
        name,
        process: nginx,
        target: Target {
            address: nginx.address,
            path: PATH,
            cookies: cookies.to_vec(),
            expected: 200,
        },
    });
    rounds_of_one_start(&contenders.collect::<Vec<_>>())
}

/// nginx with the shipped file, but for TLS, names and addresses.
fn nginx(folder: &Path, name: &str, asked: &Process, path: &str, app: &Process) -> Result<Process> {
    let folder = folder.join(format!("nginx-{name}"));
    fs::create_dir_all(&folder)?;
    let address = ([127, 0, 0, 1], free_port()).into();
    let included = format!("include {}/", folder.display());
    for (file, replacements) in [
        (
            "two-hosts.conf",
            vec![
                (
                    "ssl_certificate /etc/nginx/tls/example.com.pem;\n",
                    String::new(),
                ),
                (
                    "ssl_certificate_key /etc/nginx/tls/example.com.key;\n",
                    String::new(),
                ),
                ("listen 443 ssl", format!("listen {address}")),
                (
                    "server_name app.example.com;",
                    "server_name localhost;".to_owned(),
                ),
                ("127.0.0.1:8080", asked.address.to_string()),
                ("127.0.0.1:3000", app.address.to_string()),
                ("include /etc/nginx/gatelodge/", included),
            ],
        ),
        ("check.conf", vec![(CHECK, path.to_owned())]),
        ("protect.conf", Vec::new()),
        (
            "pages.conf",
            vec![("/var/log/nginx/error.log", "stderr".to_owned())],
        ),
    ] {
        let mut text = fs::read_to_string(root().join("deploy/nginx").join(file))?;
        for (shipped, here) in replacements {
            ensure!(text.contains(shipped), "{file} has no {shipped:?}");
            text = text.replace(shipped, &here);
        }
        fs::write(folder.join(file), text)?;
    }
    let here = folder.display();
    let whole = format!(
        "daemon off;\nmaster_process off;\npid {here}/pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\naccess_log off;\nkeepalive_requests 1000000000;\n\
         client_body_temp_path {here}/body;\nproxy_temp_path {here}/proxy;\n\
         fastcgi_temp_path {here}/fastcgi;\nuwsgi_temp_path {here}/uwsgi;\n\
         scgi_temp_path {here}/scgi;\ninclude {here}/two-hosts.conf;\n}}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, whole)?;
    let mut command = SERVER.command("nginx");
    command.args(["-e", "stderr", "-c"]).arg(file);
    let is_ready = || Client::connect(address).is_ok();
    Process::ready(command, &folder.join("log"), address, is_ready)
}
