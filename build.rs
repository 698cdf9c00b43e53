//! Tells cargo that the embedded folders are inputs: new files in them must trigger a rebuild.

fn main() {
    println!("cargo:rerun-if-changed=policies");
    println!("cargo:rerun-if-changed=templates");
}
