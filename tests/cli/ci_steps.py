"""Steps of a CI file as lines of bash, without a YAML library: what stands in our own templates is all that it knows.

Usage: ci_steps.py FILE NUMBER NAME=VALUE…

Prints the commands of the NUMBERth step, counted from 0: a `run:` of a composite action with its `env:` before it, or
the `script:` of a GitLab job with its `variables:`.  ${{ NAME }} is replaced by VALUE.  Where PyYAML is at hand it has to
see the same steps.
"""
import re
import shlex
import sys


def indent_of(line):
    return len(line) - len(line.lstrip())


def block(lines, at):
    """The lines below line `at` that are indented more, blank ones too, and the place behind them."""
    found, i = [], at + 1
    while i < len(lines) and (not lines[i].strip() or indent_of(lines[i]) > indent_of(lines[at])):
        found.append(lines[i])
        i += 1
    while found and not found[-1].strip():
        found.pop()
    return found, i


def mapping(lines):
    return dict(re.match(r"\s*(\w+): *(.*)", line).groups() for line in lines)


def steps_of(text):
    lines = text.split("\n")
    steps, environment = [], {}
    for i, line in enumerate(lines):
        key = line.strip()
        if key in ("env:", "variables:"):
            environment = mapping(block(lines, i)[0])
        elif key == "run: |":
            body = block(lines, i)[0]
            cut = indent_of(body[0])
            steps.append((environment, "\n".join(one[cut:] for one in body) + "\n"))
            environment = {}
        elif key == "script:":
            commands = [one.strip()[2:] for one in block(lines, i)[0]]
            steps.append((environment, "\n".join(commands) + "\n"))
    return steps


def steps_by_yaml(text):
    import yaml
    document = yaml.safe_load(text)
    if "runs" in document:
        return [(step.get("env", {}), step["run"]) for step in document["runs"]["steps"]]
    return [({k: str(v) for k, v in job["variables"].items()}, "\n".join(job["script"]) + "\n") for job in document.values()]


def main():
    text = open(sys.argv[1], encoding="utf-8").read()
    steps = steps_of(text)
    try:
        assert steps == steps_by_yaml(text), "PyYAML reads other steps: %s" % steps_by_yaml(text)
    except ImportError:
        pass
    values = dict(argument.split("=", 1) for argument in sys.argv[3:])
    environment, commands = steps[int(sys.argv[2])]
    for name, value in environment.items():
        value = re.sub(r"\$\{\{ *([\w.-]+) *\}\}", lambda found: values.get(found.group(1), ""), value)
        print("export %s=%s" % (name, shlex.quote(value)))
    print(commands, end="")


if __name__ == "__main__":
    main()
