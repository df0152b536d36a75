//! The files agree with the program, and with each other.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use gatelodge::config::{Settings, duration};
use gatelodge::startup::generate_key;
use reqwest::Method;
use serde_json::{Value, json};

use crate::files::{
    Environment, Migration, compose, instructions, manifests, of_kind, pods, set_in_unit, text,
    variables,
};
use crate::support::{Stack, TestApp};

const MIGRATIONS: [Migration; 2] = [Migration::AtTheStart, Migration::ByAJob];

/// What the files call the image.
fn image() -> String {
    format!("gatelodge:{}", env!("CARGO_PKG_VERSION"))
}

/// Whether somebody's environment is a configuration, whatever is in its secret files.
fn check(environment: &Environment) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_gatelodge"));
    check.args(["config", "check"]);
    check.current_dir(folder.path()).env_clear();
    for (name, value) in environment {
        let stand_in = match name.as_str() {
            "GATELODGE_SECRETS__KEYS_FILE" => generate_key(),
            "GATELODGE_DATABASE__URL_FILE" => "postgres://user:password@host/database".to_owned(),
            "GATELODGE_REDIS__URL_FILE" => "redis://host:6379".to_owned(),
            _ => {
                check.env(name, value);
                continue;
            }
        };
        assert!(value.starts_with('/'), "{name} is {value}");
        let file = folder.path().join(name);
        fs::write(&file, stand_in).unwrap();
        check.env(name, file);
    }
    check.output().unwrap()
}

#[track_caller]
fn assert_right(environment: &Environment) {
    let output = check(environment);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{environment:#?}: {complained}");
}

fn of_image() -> Environment {
    variables(&instructions("ENV").join("\n"))
}

/// Of the image, and over it of a service of the Compose file.
fn of_service(service: &Value) -> Environment {
    let mut environment = of_image();
    let given = service["environment"].as_object().unwrap().iter();
    environment.extend(given.map(|(name, value)| (name.clone(), plain(value))));
    environment
}

/// Of the image, and over it of a pod's only container.
fn of_pod(pod: &Value, manifests: &[Value]) -> Environment {
    let mut environment = of_image();
    let container = &pod["spec"]["containers"][0];
    let map = of_kind(manifests, "ConfigMap");
    assert_eq!(
        container["envFrom"],
        json!([{ "configMapRef": { "name": map["metadata"]["name"] } }])
    );
    let given = map["data"].as_object().unwrap().iter();
    environment.extend(given.map(|(name, value)| (name.clone(), plain(value))));
    let given = container["env"].as_array().unwrap().iter();
    environment.extend(given.map(|pair| (plain(&pair["name"]), plain(&pair["value"]))));
    environment
}

fn of_unit() -> Environment {
    variables(&text("deploy/systemd/gatelodge.env"))
}

fn of_unit_with_postgres() -> Environment {
    let dropped_in = text("deploy/systemd/postgres.conf");
    let set = set_in_unit(&dropped_in, "Environment").join("\n");
    let mut environment = variables(&set.replace("%d", "/run/credentials/gatelodge.service"));
    environment.extend(of_unit());
    environment
}

fn plain(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn instances(compose: &Value) -> [&Value; 2] {
    ["gatelodge-1", "gatelodge-2"].map(|name| &compose["services"][name])
}

#[test]
fn what_the_files_set_is_a_configuration() {
    assert_right(&of_image());
    for service in instances(&compose()) {
        assert_right(&of_service(service));
    }
    assert_right(&of_unit());
    assert_right(&of_unit_with_postgres());
    for migration in MIGRATIONS {
        let manifests = manifests(migration);
        for pod in pods(&manifests) {
            let environment = of_pod(pod, &manifests);
            assert_right(&environment);
            let migrates = &environment["GATELODGE_DATABASE__MIGRATE"];
            let at_the_start = matches!(migration, Migration::AtTheStart);
            assert_eq!(migrates == "true", at_the_start);
        }
    }
}

/// Unless told otherwise, Kubernetes adds such a variable for every service it has.
#[test]
fn no_pod_gets_the_variables_of_services_which_would_be_mistakes() {
    for (name, value) in [
        ("GATELODGE_PORT", "tcp://10.96.0.7:80"),
        ("GATELODGE_SERVICE_HOST", "10.96.0.7"),
    ] {
        let environment = Environment::from([(name.to_owned(), value.to_owned())]);
        assert!(!check(&environment).status.success(), "{name}");
    }
    for pod in pods(&manifests(Migration::ByAJob)) {
        assert_eq!(pod["spec"]["enableServiceLinks"], false);
    }
}

#[test]
fn whoever_stops_the_service_waits_for_longer_than_it_takes() {
    let keys = Settings::keys();
    let grace = keys
        .iter()
        .find(|known| known.key == "server.shutdown_grace");
    let grace = duration(grace.unwrap().default.unwrap()).unwrap();
    for service in instances(&compose()) {
        let waits = service["stop_grace_period"].as_str().unwrap();
        assert!(duration(waits).unwrap() > grace, "Compose: {waits}");
    }
    let unit = text("deploy/systemd/gatelodge.service");
    let waits = set_in_unit(&unit, "TimeoutStopSec")[0];
    assert!(duration(waits).unwrap() > grace, "systemd: {waits}");
    let manifests = manifests(Migration::AtTheStart);
    let pod = &of_kind(&manifests, "Deployment")["spec"]["template"]["spec"];
    let seconds = |value: &Value| Duration::from_secs(value.as_u64().unwrap());
    let sleeps = seconds(&pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]);
    let waits = seconds(&pod["terminationGracePeriodSeconds"]);
    assert!(waits > sleeps + grace, "Kubernetes: {waits:?}");
}

#[test]
fn all_take_the_image_of_this_version_and_none_takes_the_latest() {
    let mut images = instructions("FROM");
    let compose = compose();
    for service in compose["services"].as_object().unwrap().values() {
        images.push(plain(&service["image"]));
    }
    for name in ["gatelodge-1", "gatelodge-2", "keys"] {
        assert_eq!(compose["services"][name]["image"], image());
    }
    let manifests = manifests(Migration::ByAJob);
    let pods = pods(&manifests);
    assert_eq!(pods.len(), 2);
    for pod in pods {
        assert_eq!(pod["spec"]["containers"][0]["image"], image());
        assert_eq!(pod["spec"]["containers"].as_array().unwrap().len(), 1);
    }
    for image in images {
        let tag = image.split(' ').next().unwrap().rsplit_once(':');
        assert!(tag.is_some_and(|(_, tag)| tag != "latest"), "{image}");
    }
    let labels = instructions("LABEL").join(" ");
    for (label, value) in [
        ("version", env!("CARGO_PKG_VERSION")),
        ("description", env!("CARGO_PKG_DESCRIPTION")),
        ("licenses", env!("CARGO_PKG_LICENSE")),
        ("base.name", instructions("FROM").last().unwrap()),
    ] {
        let label = format!("org.opencontainers.image.{label}=\"{value}\"");
        assert!(labels.contains(&label), "{label}");
    }
    assert!(text("Dockerfile").contains(&format!("--tag {}", image())));
}

#[test]
fn all_find_the_port_that_the_image_binds() {
    let bind = of_image()["GATELODGE_SERVER__BIND"].clone();
    let (_, port) = bind.rsplit_once(':').unwrap();
    assert_eq!(instructions("EXPOSE"), [port]);
    let balancer = text("deploy/nginx.conf");
    for name in ["gatelodge-1", "gatelodge-2"] {
        assert!(
            balancer.contains(&format!("server {name}:{port}")),
            "{name}"
        );
    }
    let number: Value = port.parse::<u16>().unwrap().into();
    let manifests = manifests(Migration::AtTheStart);
    let pod = &of_kind(&manifests, "Deployment")["spec"]["template"]["spec"];
    let named = &pod["containers"][0]["ports"][0];
    assert_eq!(named["containerPort"], number);
    let service = &of_kind(&manifests, "Service")["spec"]["ports"][0];
    assert_eq!(service["targetPort"], named["name"]);
    let policy = &of_kind(&manifests, "NetworkPolicy")["spec"];
    assert_eq!(policy["ingress"][0]["ports"][0]["port"], number);
    let rule = &of_kind(&manifests, "Ingress")["spec"]["rules"][0];
    let backend = &rule["http"]["paths"][0]["backend"]["service"];
    assert_eq!(backend["port"]["name"], service["name"]);
}

#[test]
fn the_host_that_browsers_see_is_the_one_with_the_certificate() {
    let manifests = manifests(Migration::AtTheStart);
    let public_url = &of_kind(&manifests, "ConfigMap")["data"]["GATELODGE_SERVER__PUBLIC_URL"];
    let ingress = &of_kind(&manifests, "Ingress")["spec"];
    let host = ingress["rules"][0]["host"].as_str().unwrap();
    assert_eq!(*public_url, format!("https://{host}"));
    assert_eq!(ingress["tls"][0]["hosts"], json!([host]));
}

#[tokio::test]
async fn the_probes_ask_for_what_is_there() {
    let app = TestApp::spawn(Stack::Embedded).await;
    let manifests = manifests(Migration::AtTheStart);
    let container = &of_kind(&manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    for (probe, path) in [
        ("startupProbe", "/health/alive"),
        ("livenessProbe", "/health/alive"),
        ("readinessProbe", "/health/ready"),
    ] {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["path"], path, "{probe}");
        assert_eq!(get["port"], container["ports"][0]["name"]);
        let mut kubelet = app.browser();
        let request = kubelet.request(Method::GET, path);
        assert_eq!(kubelet.send(request).await.status, 200, "{path}");
    }
}

/// A Job's pod answers no requests, and would be sent some.
#[test]
fn the_servers_are_selected_and_no_job() {
    let manifests = manifests(Migration::ByAJob);
    let labels = |kind| of_kind(&manifests, kind)["spec"]["template"]["metadata"]["labels"].clone();
    let (server, job) = (labels("Deployment"), labels("Job"));
    assert_ne!(server, job);
    let spec = |kind| &of_kind(&manifests, kind)["spec"];
    let deployment = spec("Deployment");
    let pod = &deployment["template"]["spec"];
    let affinity = &pod["affinity"]["podAntiAffinity"];
    let apart = &affinity["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
    for selected in [
        &spec("Service")["selector"],
        &spec("PodDisruptionBudget")["selector"]["matchLabels"],
        &deployment["selector"]["matchLabels"],
        &pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        &apart["labelSelector"]["matchLabels"],
    ] {
        assert_eq!(*selected, server);
    }
    let policed = &spec("NetworkPolicy")["podSelector"]["matchLabels"];
    for labels in [server, job] {
        let name = "app.kubernetes.io/name";
        assert_eq!(*policed, json!({ name: labels[name] }));
    }
}

/// The Pod Security Standard `restricted`, which the namespace asks for, and a root that
/// cannot be written.
#[test]
fn no_container_has_rights() {
    let manifests = manifests(Migration::ByAJob);
    let namespace = &of_kind(&manifests, "Namespace")["metadata"];
    let enforced = "pod-security.kubernetes.io/enforce";
    assert_eq!(namespace["labels"][enforced], "restricted");
    let user: Value = instructions("USER")[0]
        .split(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    for pod in pods(&manifests) {
        let pod = &pod["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        let all = &pod["securityContext"];
        assert_eq!(all["runAsNonRoot"], true);
        assert_eq!(all["runAsUser"], user);
        assert_eq!(all["seccompProfile"]["type"], "RuntimeDefault");
        let container = &pod["containers"][0];
        let own = &container["securityContext"];
        assert_eq!(own["allowPrivilegeEscalation"], false);
        assert_eq!(own["readOnlyRootFilesystem"], true);
        assert_eq!(own["capabilities"], json!({ "drop": ["ALL"] }));
        assert!(container["resources"]["limits"]["memory"].is_string());
    }
    let compose = compose();
    for name in ["gatelodge-1", "gatelodge-2", "keys", "nginx"] {
        let service = &compose["services"][name];
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        let options = &service["security_opt"];
        assert_eq!(*options, json!(["no-new-privileges:true"]), "{name}");
    }
}

#[test]
fn every_secret_is_mounted_where_the_settings_look_for_it() {
    let manifests = manifests(Migration::ByAJob);
    for pod in pods(&manifests) {
        let environment = of_pod(pod, &manifests);
        let mounts = pod["spec"]["containers"][0]["volumeMounts"]
            .as_array()
            .unwrap();
        let files = environment
            .iter()
            .filter(|(name, _)| name.ends_with("_FILE"));
        for (name, file) in files {
            let folder = Path::new(file).parent().unwrap().to_str().unwrap();
            let mount = mounts.iter().find(|mount| mount["mountPath"] == folder);
            let mount = mount.unwrap_or_else(|| panic!("{name}"));
            assert_eq!(mount["readOnly"], true);
        }
    }
    let compose = compose();
    let made = compose["services"]["keys"]["command"].as_array().unwrap();
    for service in instances(&compose) {
        let key = of_service(service)["GATELODGE_SECRETS__KEYS_FILE"].clone();
        assert_eq!(made.last().unwrap(), &Value::from(key.as_str()));
        let folder = Path::new(&key).parent().unwrap().to_str().unwrap();
        let volume = &service["volumes"][0];
        assert_eq!(
            (&volume["target"], &volume["read_only"]),
            (&folder.into(), &true.into())
        );
    }
}
