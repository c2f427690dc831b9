"""docs/reference/nodes.md says what the nodes say when they are asked."""

from harness import ROOT


def test_parameters_topics_and_services_are_those_of_the_nodes(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "reference"))
    import node_page

    committed = (ROOT / "docs" / "reference" / "nodes.md").read_text(encoding="utf-8")
    assert committed == node_page.page(), "run: make reference"
    programs = {path.stem for path in (ROOT / "vdd_ros" / "nodes").glob("*.py")}
    named = {line[3:] for line in committed.splitlines() if line.startswith("## ")}
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    offered = {name for name in programs if f'"{name} = vdd_ros.nodes.{name}:main"' in setup}
    assert named == offered and len(offered) > 10
