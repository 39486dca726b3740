#include "src/core/finding.h"

#include <array>
#include <cctype>

#include "src/core/error.h"

namespace ferry {
namespace {

using enum Code;
using enum Fault;

constexpr auto kCodes = std::to_array<CodeInfo>({
    {unknown_format, corrupt, "unknown format",
     "None of the formats that torchferry reads matches the first bytes of the file.", ""},
    {not_a_checkpoint, corrupt, "not a checkpoint",
     "The file is of a known kind that holds no checkpoint: a git-lfs pointer, a web page, an archive …", ""},
    {truncated, corrupt, "truncated",
     "The file ends before the data that it announces: usually an interrupted download or copy.",
     "fetch the file again and compare its size with the original"},
    {bad_zip, corrupt, "broken zip archive",
     "The structure of the zip archive is damaged or contradicts itself.",
     "fetch the file again; torch.save writes no such archive"},
    {zip_disagreement, corrupt, "zip headers disagree",
     "The directory of the archive and the header beside the data say different things about one record; two "
     "readers could see two different files.",
     "do not trust the file; fetch it again from its author"},
    {checksum_mismatch, corrupt, "checksum mismatch",
     "The bytes of a record do not give the CRC-32 that was stored with them: the data changed after it was "
     "written.",
     "fetch the file again; the damaged record would give wrong weights"},
    {bad_deflate, corrupt, "broken compressed record",
     "A compressed record does not inflate to exactly what its header announces.", "fetch the file again"},
    {missing_record, corrupt, "missing record",
     "The checkpoint refers to a record that the archive does not hold.", ""},
    {duplicate_record, corrupt, "duplicate record",
     "Two records have the same name; different readers would take different ones.", "do not trust the file"},
    {bad_record_size, corrupt, "wrong record size",
     "A record does not have the size that the storage it holds must have.", ""},
    {bad_legacy_stream, corrupt, "broken legacy stream",
     "The sequence of pickles and storages that PyTorch before 1.6 wrote is damaged.",
     "fetch the file again"},
    {bad_version, unsupported, "unknown format version",
     "The version record names a version of the file format that is not known.", ""},
    {bad_byte_order, corrupt, "bad byte order", "The byteorder record holds neither 'little' nor 'big'.", ""},
    {unsupported_container, unsupported, "format not supported yet",
     "The file is of a known format that this version of torchferry does not read.", ""},
    {limit_exceeded, unsupported, "limit exceeded", "The file asks for more than the limits allow.", ""},
    {output_differs, io, "output differs",
     "The written file, read back, is not what was meant to be written; it was removed.",
     "check the disk; the source is untouched"},
    {bad_safetensors, corrupt, "broken safetensors file",
     "The header of the safetensors file contradicts itself, the data, or the format.",
     "fetch the file again"},
    {bad_npy, corrupt, "broken numpy array",
     "The header of a .npy array is not what numpy writes, or does not fit the data.",
     "fetch the file again"},
    {bad_hdf5, corrupt, "broken HDF5 file",
     "The HDF5 library cannot read the file, or what it says of it cannot be true.", "fetch the file again"},
    {bad_json, corrupt, "broken JSON",
     "A JSON document cannot be read in one way only: a syntax error, a repeated key, a wrong type.", ""},
    {bad_golden, corrupt, "broken golden",
     "The recording of a model's outputs is not as the layout of goldens has it: something is missing, or "
     "two things "
     "in it cannot both be true.",
     "record it again with torchferry recorder"},
    {bad_pt2, corrupt, "broken torch.export archive",
     "The graph, the signature or the tables of weights in a torch.export archive contradict themselves, "
     "each "
     "other, or the schema of torch.export.",
     "save the program again with torch.export.save"},
    {bad_tar, corrupt, "broken tar checkpoint",
     "A tar archive of PyTorch 0.1.9 or older, or one of the tables in it, is damaged or contradicts itself.",
     "fetch the file again"},
    {bad_torchscript, corrupt, "broken TorchScript archive",
     "The modules, tensors or constants of a TorchScript archive are damaged or contradict each other.",
     "save the program again with torch.jit.save"},
    {bad_pickle, corrupt, "broken pickle",
     "The pickle program cannot be run: an unknown instruction, a missing operand, a wrong type.",
     "fetch the file again"},
    {bad_storage, corrupt, "bad storage",
     "A storage is described in a way that cannot be true: its type, size, key or place.", ""},
    {bad_tensor, corrupt, "bad tensor",
     "A tensor reaches outside its storage, or its shape or strides cannot be true.", ""},
    {bad_call, corrupt, "bad call", "A known constructor is called with arguments that it does not take.",
     ""},
    {unsupported_value, unsupported, "value not supported",
     "A Python value cannot be written in a form that torch.load(weights_only=True) reads.", ""},
    {too_deep, unsupported, "nested too deeply", "Values are nested more deeply than the limit.", ""},
    {unsupported_tensor, unsupported, "kind of tensor not supported yet",
     "The tensor is of a kind (sparse, nested, quantized …) that this version does not convert.", ""},
    {whole_object, unsupported, "whole module in the file",
     "The file holds a pickled nn.Module instead of its state_dict; this version does not take it apart.",
     "save model.state_dict() where the class is at hand"},
    {key_collision, corrupt, "keys collide", "Two keys of one dict would become equal in the output.", ""},
    {target_lacks, unsupported, "the target has no form for it",
     "The format that was asked for with --to cannot hold this value; nothing was written.", ""},
    {unsafe_global, refused, "unsafe global",
     "The pickle names code that has no place in a checkpoint; loading it with Python could run anything. "
     "Nothing was written.",
     "do not load this file with weights_only=False"},
    {cannot_read, io, "cannot read", "The input cannot be opened or read.", ""},
    {cannot_write, io, "cannot write",
     "The output cannot be created or written; the destination is as it was.", ""},
    {output_exists, io, "output exists", "The destination exists already.", "give --force to replace it"},
    {same_file, io, "input is output", "The output is the input file itself.",
     "give --force to replace it by its conversion"},
    {output_collision, usage, "outputs collide",
     "Two inputs would be written to one output; nothing was written.",
     "convert them into different folders"},
    {bad_usage, usage, "bad usage", "The command line cannot be understood.", "see torchferry --help"},
    {source_changed, io, "source changed", "The input changed while it was read; nothing was written.",
     "run again when nothing writes to the file"},
    {out_of_memory, io, "out of memory", "There was not enough memory.", ""},
    {nothing_selected, usage, "nothing selected", "The selection names nothing that the checkpoint holds.",
     "see torchferry inspect --tree"},
    {no_input, usage, "no input", "No checkpoint was found among the given paths.", ""},
    {internal, io, "internal error", "torchferry itself went wrong; nothing was written.",
     "please report it with the file, or with the output of torchferry inspect"},
    {helper_missing, unsupported, "HDF5 helper missing",
     "HDF5 is read by a program of its own, torchferry-hdf5, which was not found beside torchferry.",
     "build torchferry where libhdf5-dev is installed; scripts/setup installs it"},
    {bad_policy, usage, "bad policy", "The policy or map file cannot be understood.",
     "see torchferry diff --help, torchferry validate --help"},
    {model_failed, unsupported, "the model cannot be run",
     "The replayed model raised an error, asked for what LibTorch does not have, or took its process down.",
     "run the same inputs through the model in Python: where that fails too, the model is at fault"},
    {weights_misfit, unsupported, "weights do not fit the model",
     "The names or shapes of the tensors in the checkpoint are not those that the model takes.",
     "--select says which part of the checkpoint holds the model, --rename gives keys other names"},
    {bad_recipe, usage, "bad recipe", "The recipe cannot be understood.",
     "torchferry recipe check FILE says what is wrong; torchferry recipe show ffb6d is an example"},
    {recipe_mismatch, usage, "recipe does not fit",
     "The checkpoint does not have the layout that the recipe is for, or a step of the recipe, or what it "
     "requires of the result, does not hold; nothing was written.",
     "see torchferry inspect --tree, and torchferry recipe show NAME"},
    {prefix_stripped, remark, "prefix stripped",
     "Every key of a state_dict carried a wrapper's prefix (DataParallel, torch.compile, FSDP); it was taken "
     "off.",
     "--keep-prefix keeps it"},
    {amp_to_scaler, remark, "apex amp → GradScaler",
     "The state of apex amp became the state of torch.amp.GradScaler.", "--layout keep keeps it as it is"},
    {optimizer_ids, remark, "optimizer ids → indices",
     "Parameters of an optimizer state were named by object ids; they are now numbered in the order of the "
     "groups, as PyTorch does since 1.6.",
     ""},
    {optimizer_steps, remark, "optimizer steps → tensors",
     "Step counts became tensors, as PyTorch 2.x keeps them.", ""},
    {optimizer_groups, remark, "optimizer groups completed",
     "Options that later versions of PyTorch added to the optimizer got their defaults.", ""},
    {device_to_cpu, remark, "device → cpu",
     "Storages tagged with another device are now tagged cpu; the values are the same.", ""},
    {object_to_data, remark, "object → plain data",
     "A Python object that weights_only refuses became plain data.", ""},
    {storage_compacted, remark, "storage compacted",
     "Bytes of a storage that no tensor refers to were left out; sharing is kept.",
     "--layout keep keeps whole storages"},
    {python2_text, remark, "Python 2 text",
     "Byte strings of Python 2 became text: UTF-8, or Latin-1 where they are no UTF-8.", ""},
    {attributes_dropped, remark, "attributes dropped",
     "Python attributes of a tensor or container cannot be stored for weights_only; they are in the report.",
     ""},
    {scaler_from_object, remark, "object → state",
     "A pickled GradScaler, optimizer or scheduler object became its state_dict.", ""},
    {conj_resolved, remark, "conj/neg resolved", "A lazily conjugated or negated tensor was written out.",
     ""},
    {selected, remark, "selected", "Only a part of the checkpoint was written, as asked.", ""},
    {renamed, remark, "renamed", "Keys were renamed, as asked.", ""},
    {excluded, remark, "left out", "Entries were left out, as asked.", ""},
    {container_rewritten, remark, "container rewritten",
     "The file is now a zip archive as PyTorch 2.x writes it.", ""},
    {fp16_optimizer, remark, "FP16_Optimizer → optimizer",
     "The state of apex's FP16_Optimizer became the optimizer state that it wraps, with the scaler and the "
     "fp32 "
     "masters beside it.",
     "--fp32-masters model puts the masters into the model; --amp keep leaves the wrapper"},
    {masters_to_model, remark, "fp32 masters → model",
     "Parameters of the model were replaced by their fp32 masters, as asked.", ""},
    {scaler_to_none, remark, "disabled scaler → None",
     "A disabled GradScaler saves an empty state, which an enabled one refuses; it became None.", ""},
    {amp_dropped, remark, "amp left out", "The state of apex amp was left out, as asked.", ""},
    {scheduler_state, remark, "scheduler brought up to date",
     "The state of a learning rate scheduler was put into the form that its class in PyTorch 2.x loads.", ""},
    {optimizer_history, remark, "LBFGS history shortened",
     "LBFGS of PyTorch 1.1 and earlier filled a list of its history with None; 2.x appends to it.", ""},
    {layout_fixed, remark, "layout changed, as asked",
     "A rule that --fix names changed the names or the form of tensors; their values are the same.",
     "torchferry convert --list-rules says why each rule exists"},
    {rng_state, remark, "state of a generator",
     "--fix rng_states gave the state of a random number generator of PyTorch 1.x the size that 2.x takes.",
     ""},
    {tensor_rebuilt, remark, "rebuilt in another way",
     "A function that PyTorch 2.x no longer has made the tensor; the file names the one that it has. The "
     "values are the same.",
     ""},
    {recipe_applied, remark, "recipe applied",
     "A recipe brought the layout of a known project into the form that its 2.x code reads.",
     "torchferry recipe show NAME prints it"},
    {recipe_selected, remark, "selected by the recipe", "Only a part of the checkpoint was written.", ""},
    {recipe_moved, remark, "moved by the recipe", "A value lies under another path now.", ""},
    {recipe_renamed, remark, "renamed by the recipe", "Keys were renamed.", ""},
    {recipe_dropped, remark, "dropped by the recipe", "An entry was left out.", ""},
    {recipe_set, remark, "set by the recipe", "A value was added, or replaced by another.", ""},
    {steps_to_integers, remark, "step counts as integers",
     "Optimizers of PyTorch before 1.12 count in integers; tensors would make them compute in float32.", ""},
    {tied_once, remark, "tied tensor written once",
     "Two names of one tensor: the format holds names of tensors only, so it is written under one of them. "
     "The "
     "other names stand in the metadata, as Hugging Face's libraries put them there, and are read back.",
     ""},
    {tensor_lost, remark, "tensor lost",
     "--salvage left a tensor out because its bytes are damaged or missing.",
     "fetch the file again, if there is another copy"},
    {value_lost, remark, "value lost",
     "--salvage left a value out because the part of the file that holds it is damaged or missing.",
     "fetch the file again, if there is another copy"},
    {no_checksums, remark, "no checksums",
     "The format of the source carries no checksums: a flipped bit in a weight cannot be seen.", ""},
    {static_loss_scale, remark, "static loss scale",
     "The loss scale was static; GradScaler has no equivalent, so the scaler is None.", ""},
    {ambiguous_prefix, remark, "prefix or child?",
     "Every key starts with 'module.': that is how DataParallel saves, but also how a model with one child "
     "of that name would.",
     "--keep-prefix keeps it"},
    {crc_not_computed, remark, "no CRC computed",
     "A record has no CRC-32 (torch's set_crc32_options(False)); damage to it cannot be seen.", ""},
    {trailing_bytes, remark, "trailing bytes", "Bytes follow the end of the pickle; nothing refers to them.",
     ""},
    {scaler_exists, remark, "scaler exists",
     "The checkpoint has both amp and scaler; the scaler was kept and amp dropped.", ""},
    {stale_optimizer_state, remark, "stale optimizer state",
     "The optimizer state has entries for parameters that no group names; they were kept under new numbers.",
     ""},
    {inexact_step, remark, "inexact step", "A step count above 2^24 is not exact as float32.", ""},
    {lost_value, remark, "value lost", "A value cannot be carried over and is described in the report only.",
     ""},
    {needs_newer, remark, "a later 2.x is needed",
     "weights_only of PyTorch 2.0 and 2.1 does not know this kind of value yet; later releases do.",
     "PyTorch 2.13 loads it"},
    {not_compared, remark, "not compared",
     "One of the files cannot hold this, or was never asked to; it does not count as a difference.",
     "--select names the part that both have"},
    {keys_reordered, remark, "order of keys",
     "A dict has the same keys in another order; load_state_dict does not mind.", ""},
    {common_cause, remark, "common cause", "All differences have one explanation.", ""},
    {archive_metadata, remark, "metadata left out",
     "Metadata of the container that no checkpoint of PyTorch can hold is in the report only.", ""},
    {several_pickles, remark, "several pickles in one file",
     "Pickles follow each other in the file; the list of their values was kept.", ""},
    {code_left_out, remark, "code left out",
     "Code in the file, of a TorchScript program or the source of pickled modules, is not part of a "
     "state_dict and was never parsed or run.",
     "torchferry replay runs a TorchScript program; inspect --code shows the source of modules"},
    {nested_checkpoint, remark, "a checkpoint in the checkpoint",
     "Bytes that another torch.save wrote lay in the file; what they hold stands in their place.", ""},
    {recipe_fits, remark, "a recipe fits",
     "The checkpoint has the layout of a project for which there is a recipe.",
     "--recipe NAME applies it; torchferry recipe show NAME prints it"},
    {recipe_note, remark, "note of the recipe", "Something that the recipe has to say about this file.", ""},
    {amp_evidence, remark, "what amp was",
     "apex records neither its opt level nor whether the loss scale was static; this is what the file shows "
     "of "
     "them.",
     "--static-scale and --amp overrule what was inferred"},
    {masters_unplaced, remark, "fp32 masters not placed",
     "The parameters that fp32 masters belong to cannot be told without doubt; the masters were kept as they "
     "are.",
     "pair them by hand: they are in the order of the optimizer's parameters"},
    {parameter_names, remark, "names of parameters",
     "An optimizer state numbers its parameters; these are the names that fit by order and shape.",
     "--json and -v list all of them"},
    {parameters_unmatched, remark, "parameters without partner",
     "States of an optimizer and parameters of the model do not pair: the optimizer was made for other or "
     "fewer "
     "parameters, and load_state_dict may refuse it.",
     "give the new optimizer the same parameters in the same groups"},
    {apex_optimizer, remark, "optimizer of apex",
     "The state was written by an optimizer of apex; this says which class of torch takes it and what "
     "differs.",
     ""},
    {function_lost, remark, "function not in the file",
     "A scheduler was given a function or lambda; checkpoints do not hold code, so the new code must pass it "
     "again.",
     ""},
    {fix_not_applied, remark, "left alone by a fix",
     "A rule that --fix names met something that it would have had to guess about.",
     "--fix RULE:GLOB names the modules that are meant"},
    {apex_trace, remark, "apex was here", "The checkpoint names classes or settings of apex.", ""},
    {old_rng_state, remark, "generator's state of an old size",
     "torch.set_rng_state of 2.x refuses the state of a random number generator for its size.",
     "--fix rng_states gives it the new one; it goes on with the same numbers"},
    {module_described, remark, "classes and settings of a module",
     "A whole module was saved. Its weights became a state_dict; its classes and plain attributes, which a "
     "person needs to build it again, are named here.",
     ""},
    {needs_later_old, remark, "not for every old version",
     "The file holds types that the first of the versions it is for do not know.", ""},
    {sharing_lost, remark, "shared memory written apart",
     "Tensors that look at parts of one storage are written whole, each by itself: equal in value, shared no "
     "more.",
     ""},
    {state_beside, remark, "state beside the tensors",
     "What is no tensor stands in JSON, in a file beside the tensors or in a dataset of its own, and is read "
     "back "
     "with them.",
     ""},
    {package_conflict, remark, "package out of range",
     "An installed package does not go with the PyTorch beside it; doctor ends with 1.",
     "the install line of the report brings one that does"},
    {requirement_conflict, remark, "requirement not met",
     "An installed package asks for another version of a second one than there is; doctor ends with 1.",
     "the install line of the report lets pip solve both together"},
    {broken_environment, remark, "broken environment",
     "What is installed and what its metadata say are not the same, or one of them cannot be read: usually "
     "an "
     "update that was interrupted.",
     "install the package again with pip install --force-reinstall"},
    {no_ranges, remark, "no ranges known",
     "For this release of PyTorch nothing is known about the versions of other packages.",
     "torchferry doctor --ranges FILE takes a table of yours"},
    {driver_missing, remark, "no driver",
     "PyTorch is built for GPUs whose driver was not found; it computes on the processor.", ""},
    {driver_old, remark, "driver too old",
     "The NVIDIA driver is older than the CUDA that PyTorch was built for needs; torch.cuda.is_available() "
     "will "
     "be False unless a compatibility package of CUDA is installed.",
     "update the driver, or install a build for an older CUDA"},
    {gpu_unused, remark, "GPU not used",
     "The machine has a GPU with its driver, and PyTorch is built for the processor alone.", ""},
    {helper_silent, remark, "helper program missing",
     "A helper program does not lie beside torchferry, or does not answer: without torchferry-hdf5 no HDF5 "
     "file "
     "is read, without torchferry-replay nothing is replayed.",
     "build torchferry where the libraries are; scripts/setup installs them"},
    {no_answer, remark, "no answer",
     "A program that doctor --run asked gave no answer, or another one than its files.", ""},
    {does_not_load, remark, "does not load",
     "torch.load(weights_only=True) of PyTorch 2.x would refuse the file.",
     "torchferry convert writes a file that it loads"},
    {does_not_map, remark, "cannot be mapped",
     "torch.load(mmap=True) would refuse the file, or take other bytes for its numbers.",
     "torchferry convert writes a file that can be mapped"},
    {structure_differs, remark, "structure differs",
     "The file is not what the conversion of the original gives: names, shapes, types, values or sharing are "
     "others.",
     "torchferry diff BEFORE AFTER shows it in full; what is meant can be allowed by name"},
    {tensors_differ, remark, "tensors differ",
     "Tensors do not hold the numbers that the original holds, within the bounds that were asked for.",
     "torchferry diff BEFORE AFTER says where and how much"},
    {optimizer_misfit, remark, "optimizer does not fit",
     "The state of the optimizer does not fit the parameters of the model: it would fail, or train wrongly, "
     "at "
     "the next step.",
     "convert the original again, or start with a fresh optimizer"},
    {scaler_unusable, remark, "scaler does not load",
     "The state of torch.amp.GradScaler is not one that it loads and works with.",
     "None stands for no scaler; torchferry convert turns apex amp into GradScaler state"},
    {semantic_drift, remark, "another function",
     "In double precision the model does not compute what it computed on the old machine: that is no "
     "rounding, but another program or other weights.",
     "the first module that differs says where to look"},
    {rounding_drift, remark, "drift beyond rounding",
     "In single precision the outputs are farther from the old ones than rounding explains.",
     "check the precision flags, such as TF32, of both machines"},
    {precision_drift, remark, "drift of reduced precision",
     "In reduced precision the outputs are farther from the exact ones than the number format explains.", ""},
    {device_missing, remark, "device missing", "A check was asked to run on a GPU, and there is none here.",
     "without --require-gpu such checks are skipped"},
    {partner_missing, remark, "file missing", "A file of one folder has no partner in the other.",
     "--skip leaves files out"},
});

}  // namespace

const CodeInfo& info(Code code) {
  for (const CodeInfo& row : kCodes)
    if (row.code == code) return row;
  return kCodes.front();
}

std::span<const CodeInfo> all_codes() { return kCodes; }

std::string code_name(Code code) { return "TF" + std::to_string(static_cast<unsigned>(code)); }

const CodeInfo* find_code(std::string_view name) {
  if (name.size() > 2 && std::toupper(name[0]) == 'T' && std::toupper(name[1]) == 'F') name.remove_prefix(2);
  for (const CodeInfo& row : kCodes)
    if (name == std::to_string(static_cast<unsigned>(row.code))) return &row;
  return nullptr;
}

std::string_view fault_name(Fault fault) {
  switch (fault) {
    case io:
      return "io";
    case usage:
      return "usage";
    case corrupt:
      return "corrupt";
    case unsupported:
      return "unsupported";
    case refused:
      return "refused";
    case remark:
      return "remark";
  }
  return "";
}

}  // namespace ferry
