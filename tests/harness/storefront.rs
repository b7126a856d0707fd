//! A storefront's code as its packages lay it out, at the size of a real one: modules with `module.xml`, `acl.xml`, `webapi.xml`
//! and `integration.xml` after the formats, made by counting. And the commands that read it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::process::binary;

/// A storefront's folder.
pub struct Storefront {
    folder: TempDir,
}

impl Storefront {
    /// With so many modules and no others: about eight routes and four resources each, every tenth with an integration.
    pub fn of_size(modules: usize) -> Self {
        let storefront = Self {
            folder: tempfile::Builder::new().prefix("countersign-code-").tempdir().unwrap(),
        };
        storefront.backend();
        for number in 0..modules {
            storefront.module(number);
        }
        storefront
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file below it.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The module that has the root of the tree, and catalog and sales as the real ones nest them.
    fn backend(&self) {
        let (folder, name) = ("vendor/magento/module-backend", "Magento_Backend");
        self.write(&format!("{folder}/etc/module.xml"), module_xml(name, &[]));
        self.write(
            &format!("{folder}/etc/acl.xml"),
            acl_xml(
                "<resource id=\"Magento_Catalog::catalog\" title=\"Catalog\" translate=\"title\" sortOrder=\"30\">\n\
                 <resource id=\"Magento_Catalog::catalog_inventory\" title=\"Inventory\" translate=\"title\" sortOrder=\"10\">\n\
                 <resource id=\"Magento_Catalog::products\" title=\"Products\" translate=\"title\" sortOrder=\"10\"/>\n\
                 </resource></resource>\n\
                 <resource id=\"Magento_Sales::sales\" title=\"Sales\" translate=\"title\" sortOrder=\"20\">\n\
                 <resource id=\"Magento_Sales::actions_view\" title=\"View\" translate=\"title\" sortOrder=\"10\"/>\n\
                 </resource>",
            ),
        );
        let me = "<data>\n            <parameter name=\"customerId\" force=\"true\">%customer_id%</parameter>\n\
                  <parameter name=\"cartId\" force=\"true\">%cart_id%</parameter>\n        </data>";
        let routes = [
            route("GET", "/V1/products/:sku", "Magento_Catalog::products", ""),
            route("GET", "/V1/orders", "Magento_Sales::actions_view", ""),
            route("GET", "/V1/customers/:customerId", "Magento_Sales::sales", ""),
            route("GET", "/V1/customers/me", "self", me),
            route("POST", "/V1/guest-carts", "anonymous", ""),
        ];
        self.write(&format!("{folder}/etc/webapi.xml"), webapi_xml(&routes.concat()));
    }

    fn module(&self, number: usize) {
        let name = name_of(number);
        let folder = match number % 3 {
            0 => format!("vendor/magento/module-part{number}"),
            1 => format!("app/code/Acme/Part{number}"),
            _ => format!("vendor/other/part{number}/src"),
        };
        let before = (number.saturating_sub(3)..number).step_by(3).map(name_of);
        let before: Vec<String> = before.chain(["Magento_Backend".to_owned()]).collect();
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        self.write(&format!("{folder}/etc/module.xml"), module_xml(&name, &before));
        let resource = |leaf: &str, title: &str| {
            format!("<resource id=\"{name}::{leaf}\" title=\"{title}\" translate=\"title\" sortOrder=\"10\"/>\n")
        };
        let leaves = [
            resource("read", "Read"),
            resource("save", "Save"),
            resource("delete", "Delete"),
        ]
        .concat();
        let tree = format!(
            "<resource id=\"{name}::part\" title=\"Part {number}\" translate=\"title\" sortOrder=\"{number}\">\n{leaves}</resource>"
        );
        self.write(&format!("{folder}/etc/acl.xml"), acl_xml(&tree));
        let mut routes = String::new();
        for (method, url, leaf) in [
            ("GET", "", "read"),
            ("POST", "", "save"),
            ("GET", "/:itemId", "read"),
            ("GET", "/mine", "read"),
            ("PUT", "/:itemId", "save"),
            ("DELETE", "/:itemId", "delete"),
            ("GET", "/:itemId/links/:type", "read"),
            ("POST", "/:itemId/cancel", "save"),
        ] {
            routes += &route(
                method,
                &format!("/V1/part{number}/items{url}"),
                &format!("{name}::{leaf}"),
                "",
            );
        }
        if number.is_multiple_of(3) {
            routes += &route("GET", &format!("/V1/part{number}/open"), "anonymous", "");
        }
        self.write(&format!("{folder}/etc/webapi.xml"), webapi_xml(&routes));
        if number.is_multiple_of(10) {
            let text = format!(
                "<config xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n<integration name=\"Part {number} sync\">\n<email>sync{number}@p.example</email>\n\
                 <endpoint_url>https://p{number}.example/cb</endpoint_url>\n<resources>\n<resource name=\"{name}::read\"/>\n</resources>\n</integration>\n</config>"
            );
            self.write(&format!("{folder}/etc/integration.xml"), text);
        }
    }
}

fn name_of(number: usize) -> String {
    let vendor = match number % 3 {
        0 => "Magento",
        1 => "Acme",
        _ => "Other",
    };
    format!("{vendor}_Part{number}")
}

fn module_xml(name: &str, before: &[&str]) -> String {
    let before: Vec<String> = before
        .iter()
        .map(|one| format!("            <module name=\"{one}\"/>\n"))
        .collect();
    format!(
        "{HEAD}<config xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:noNamespaceSchemaLocation=\"urn:magento:framework:Module/etc/module.xsd\">\n    <module name=\"{name}\">\n        <sequence>\n{}        \
         </sequence>\n    </module>\n</config>\n",
        before.concat()
    )
}

fn acl_xml(resources: &str) -> String {
    format!(
        "{HEAD}<config xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:noNamespaceSchemaLocation=\"urn:magento:framework:Acl/etc/acl.xsd\">\n<acl><resources>\n<resource id=\"Magento_Backend::admin\" \
         title=\"Magento Admin\">\n{resources}\n</resource>\n</resources></acl>\n</config>\n"
    )
}

fn webapi_xml(routes: &str) -> String {
    format!(
        "{HEAD}<routes xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:noNamespaceSchemaLocation=\"urn:magento:module:Magento_Webapi:etc/webapi.xsd\">\n{routes}</routes>\n"
    )
}

fn route(method: &str, url: &str, resource: &str, data: &str) -> String {
    let mut text = String::new();
    writeln!(
        text,
        "    <route url=\"{url}\" method=\"{method}\">\n        <service class=\"Acme\\Api\\RepositoryInterface\" method=\"run\"/>\n        <resources>\n            \
         <resource ref=\"{resource}\"/>\n        </resources>\n        {data}\n    </route>"
    )
    .unwrap();
    text
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; -1 where a signal ended it.
    pub code: i32,
    /// What it said.
    pub stdout: String,
    /// And where it went wrong.
    pub stderr: String,
}

/// Runs `countersign` with these arguments in a folder, with this on stdin.
pub fn run(folder: &Path, arguments: &[&str], stdin: &str) -> Ran {
    run_with(folder, arguments, stdin, &[])
}

/// The same with variables of the environment.
pub fn run_with(folder: &Path, arguments: &[&str], stdin: &str, environment: &[(&str, &str)]) -> Ran {
    let mut input = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut input, stdin.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut input).unwrap();
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(folder).env_clear();
    command.envs(environment.iter().copied());
    let output = command.stdin(Stdio::from(input)).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

const HEAD: &str = "<?xml version=\"1.0\"?>\n<!--\n/**\n * Copyright © the authors.\n */\n-->\n";
