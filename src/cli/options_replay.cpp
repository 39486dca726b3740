#include "src/cli/options_parts.h"

namespace ferry::cli {

void describe_replay(CLI::App& app, ReplayOptions& to) {
  CLI::App& verb = *app.add_subcommand("replay", "run a model of 2.x on the inputs of a golden");
  ReplayRequest& request = to.request;
  verb.add_option("MODEL", request.model, "a torch.export archive (.pt2) or a TorchScript file")
      ->type_name("");
  verb.add_option("--factory", to.factory, "instead of MODEL: what builds it in Python, net.py:build")
      ->type_name("MODULE:NAME");
  verb.add_option("--kwargs", to.kwargs, "keyword arguments of the factory")->type_name("JSON");
  verb.add_option("--python", to.python, "the Python that runs the factory, with PyTorch (default: python3)")
      ->type_name("FILE");
  verb.add_option("--golden", request.golden, "the recording whose inputs are run")
      ->required()
      ->type_name("FILE");
  verb.add_option("-o,--output", request.out, "the recording that is written (.npz)")
      ->required()
      ->type_name("FILE");
  verb.add_option("--weights", request.weights, "a checkpoint whose tensors replace the model's own")
      ->type_name("FILE");
  verb.add_option("--select", request.select, "the part of the checkpoint that holds them: model_state")
      ->type_name("PATH");
  verb.add_flag("--keep-layout", request.keep_layout, "take the checkpoint's names as they are stored");
  verb.add_option("--device", request.device, "auto (default): a GPU where there is one")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}).description(""))
      ->type_name("cpu|cuda");
  verb.add_option("--run", request.runs,
                  "f32,f64 (default), tf32-rne, tf32-rz, bf16, fp16 (rounded factors), autocast-bf16, "
                  "autocast-fp16, tf32 (of a GPU)")
      ->delimiter(',')
      ->type_name("RUN,...");
  verb.add_option("--taps", request.taps, "record what modules or single operators return, too")
      ->check(CLI::IsMember({"none", "modules", "ops"}).description(""))
      ->type_name("modules|ops");
  verb.add_option("--samples", request.samples, "elements kept of larger taps (default 1024); 0: all")
      ->check(CLI::Range(0, 1'000'000'000).description(""))
      ->type_name("N");
  verb.add_option("--threads", request.threads, "threads of LibTorch (default 1); 0: as many as it likes")
      ->check(CLI::Range(0, 4096).description(""))
      ->type_name("N");
  verb.add_option("--repeats", request.repeats, "forward passes of every run")
      ->check(CLI::Range(1, 100000).description(""))
      ->type_name("N");
  verb.add_option("--case", request.cases, "only these cases of the golden: 0,2")
      ->delimiter(',')
      ->check(CLI::Range(0, 1'000'000'000).description(""))
      ->type_name("I,...");
  verb.add_option("--memory-mib", request.memory_mib, "address space that the model may take; not on a GPU")
      ->check(CLI::Range(0, 1'000'000'000).description(""))
      ->type_name("N");
  verb.add_option("--seconds", request.seconds, "processor time that the model may take")
      ->check(CLI::Range(0, 1'000'000'000).description(""))
      ->type_name("N");
  verb.add_flag("--force", to.force, "replace an existing recording");
  verb.add_flag("--json", to.json, "JSON on stdout");
}

ReplayOptions finished(ReplayOptions& from) {
  ReplayRequest& request = from.request;
  for (auto* const text : {&request.model, &request.golden, &request.out, &request.weights, &request.select})
    unmark(*text);
  for (auto* const text : {&from.factory, &from.kwargs, &from.python}) unmark(*text);
  if (request.model.empty() == from.factory.empty())
    throw_usage(request.model.empty() ? "there is neither a model nor a factory"
                                      : "a model and a factory are two models",
                "torchferry replay model.pt2 --golden old.h5 -o new.npz");
  if (!from.kwargs.empty() && from.factory.empty())
    throw_usage("--kwargs are those of a factory", "--factory net.py:build");
  if (!request.select.empty() && request.weights.empty())
    throw_usage("--select chooses in a checkpoint, and none is given",
                "--weights model.pth --select model_state");
  return from;
}

}  // namespace ferry::cli
