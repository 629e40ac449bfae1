#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "base/error.h"
#include "base/try.h"
#include "topology/synthetic.h"
#include "topology/synthetic_machine.h"

namespace tutti::topology {
namespace {

constexpr int kCountMax = 4096;
constexpr int kGpuLinksMax = 64;
constexpr std::array<double, 7> kGigatransfers = {0, 2.5, 5, 8, 16, 32, 64};

constexpr std::array kModels = {
    GpuModel{"p100", 60, 4, 8, "0x15f9"}, GpuModel{"v100", 70, 6, 8, "0x1db8"},
    GpuModel{"a100", 80, 12, 16, "0x20b0"}, GpuModel{"h100", 90, 18, 32, "0x2330"},
    GpuModel{"b200", 100, 18, 32, "0x2901"}};

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Machine> parse();

 private:
  struct Word {
    std::string_view text;
    std::size_t at = 0;
  };

  Status part();
  Status option(std::string_view kind, Word word);
  Status gpu_option(Word option);
  Status nic_option(Word option);
  Status count(Word word, int most, int& value) const;
  // Notes that `what` ("fabric") is said by this word of the part; an error the second time.
  Status once(std::string_view what, Word word);
  Status check() const;
  Status check_fabric() const;
  Result<double> generation(Word word) const;

  // A run of letters and digits, empty at punctuation and at the end.
  Word word();
  // Whether this comes next; eats it.
  bool next(char c);
  bool done();
  template <typename... Args>
  Status fail(std::size_t at, fmt::format_string<Args...> text, Args&&... args) const {
    return error(Code::invalid_argument, "column {}: {}\n  {}\n  {}^", at + 1,
                 printable(fmt::format(text, std::forward<Args>(args)...)),
                 printable(std::string(text_)), std::string(at, ' '));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Machine machine_;
  std::vector<std::string_view> kinds_;  // of the parts so far
  std::vector<std::string_view> said_;   // by options of this part
  std::size_t fabric_at_ = 0;
  std::size_t links_at_ = 0;  // 0: not said
};

void skip_spaces(std::string_view text, std::size_t& at) {
  while (at < text.size() && is_space(text[at])) {
    ++at;
  }
}

bool Parser::done() {
  skip_spaces(text_, at_);
  return at_ == text_.size();
}

bool Parser::next(char c) {
  if (done() || text_[at_] != c) {
    return false;
  }
  ++at_;
  return true;
}

Parser::Word Parser::word() {
  skip_spaces(text_, at_);
  const std::size_t first = at_;
  const auto part_of_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.';
  };
  while (at_ < text_.size() && part_of_word(text_[at_])) {
    ++at_;
  }
  return {text_.substr(first, at_ - first), first};
}

Result<Machine> Parser::parse() {
  const Word first = word();
  if (first.text != "node") {
    return fail(first.at, "a machine begins with node{{");
  }
  if (!next('{')) {
    return fail(at_, "a brace opens the list of parts: node{{2 numa, 8 gpu}}");
  }
  do {
    TUTTI_TRY(part());
  } while (next(','));
  if (!next('}')) {
    return fail(at_, "a comma or the closing brace belongs here");
  }
  if (!done()) {
    return fail(at_, "the machine ends at the brace; nothing may follow");
  }
  TUTTI_TRY(check());
  return machine_;
}

Status Parser::count(Word word, int most, int& value) const {
  int number = 0;
  const char* const end = word.text.data() + word.text.size();
  const auto [stop, failure] = std::from_chars(word.text.data(), end, number);
  if (word.text.empty() || failure != std::errc() || stop != end || number < 1 || number > most) {
    return fail(word.at, "a count from 1 to {} belongs here", most);
  }
  value = number;
  return {};
}

Status Parser::part() {
  int number = 0;
  TUTTI_TRY(count(word(), kCountMax, number));
  const Word kind = word();
  constexpr std::array<std::pair<std::string_view, int Machine::*>, 6> kKinds = {
      {{"package", &Machine::packages},
       {"numa", &Machine::numas},
       {"core", &Machine::cores},
       {"switch", &Machine::switches},
       {"gpu", &Machine::gpus},
       {"nic", &Machine::nics}}};
  const auto* const found = std::find_if(kKinds.begin(), kKinds.end(),
                                         [&](const auto& one) { return one.first == kind.text; });
  if (found == kKinds.end()) {
    return fail(kind.at, "\"{}\" is no part; parts are package, numa, core, switch, gpu, nic",
                kind.text);
  }
  if (std::find(kinds_.begin(), kinds_.end(), kind.text) != kinds_.end()) {
    return fail(kind.at, "a second part of {}; a machine has one of each kind", kind.text);
  }
  kinds_.push_back(found->first);
  said_.clear();
  machine_.*found->second = number;
  for (Word next_word = word(); !next_word.text.empty(); next_word = word()) {
    TUTTI_TRY(option(kind.text, next_word));
  }
  return {};
}

Status Parser::once(std::string_view what, Word word) {
  if (std::find(said_.begin(), said_.end(), what) != said_.end()) {
    return fail(word.at, "\"{}\" is a second {}; a part has one", word.text, what);
  }
  said_.push_back(what);
  return {};
}

Result<double> Parser::generation(Word word) const {
  int number = 0;
  const Word digits{word.text.substr(3), word.at + 3};
  TUTTI_TRY(count(digits, static_cast<int>(kGigatransfers.size()) - 1, number));
  return kGigatransfers[static_cast<std::size_t>(number)];
}

Status Parser::option(std::string_view kind, Word word) {
  if (kind == "gpu") {
    return gpu_option(word);
  }
  if (kind == "nic") {
    return nic_option(word);
  }
  if (kind == "switch" && word.text.starts_with("gen")) {
    TUTTI_TRY(once("generation", word));
    TUTTI_TRY_ASSIGN(machine_.switch_gigatransfers, generation(word));
    return {};
  }
  if (kind == "package" && (word.text == "intel" || word.text == "amd")) {
    TUTTI_TRY(once("vendor", word));
    machine_.vendor = word.text == "intel" ? "GenuineIntel" : "AuthenticAMD";
    return {};
  }
  return fail(word.at,
              "\"{}\" is no option of {}; a switch takes gen1 to gen6, a package intel or "
              "amd, numa and core none; a comma separates parts",
              word.text, kind);
}

Status Parser::gpu_option(Word option) {
  constexpr std::array<std::pair<std::string_view, Fabric>, 4> kFabrics = {
      {{"nvswitch", Fabric::nvswitch},
       {"mesh", Fabric::mesh},
       {"ring", Fabric::ring},
       {"cube", Fabric::cube}}};
  for (const auto& [name, fabric] : kFabrics) {
    if (option.text == name) {
      TUTTI_TRY(once("fabric", option));
      machine_.fabric = fabric;
      fabric_at_ = option.at;
      skip_spaces(text_, at_);
      if (fabric == Fabric::nvswitch && at_ < text_.size() && text_[at_] >= '0' &&
          text_[at_] <= '9') {
        TUTTI_TRY(count(word(), kGpuLinksMax, machine_.nvswitches));
      }
      return {};
    }
  }
  for (const GpuModel& model : kModels) {
    if (option.text == model.name) {
      TUTTI_TRY(once("model", option));
      machine_.gpu = model;
      return {};
    }
  }
  if (option.text.starts_with('x')) {
    TUTTI_TRY(once("number of links", option));
    links_at_ = option.at;
    return count({option.text.substr(1), option.at + 1}, kGpuLinksMax, machine_.links);
  }
  return fail(option.at,
              "\"{}\" is no option of gpu; there are p100, v100, a100, h100, b200, then nvswitch "
              "[how many], mesh, ring, cube, and x18 for 18 links of every GPU",
              option.text);
}

Status Parser::nic_option(Word option) {
  if (option.text.ends_with('G')) {
    TUTTI_TRY(once("rate", option));
    int gigabits = 0;
    TUTTI_TRY(count({option.text.substr(0, option.text.size() - 1), option.at}, 10'000, gigabits));
    machine_.port_megabits = gigabits * 1000;
    return {};
  }
  if (option.text.starts_with("gen")) {
    TUTTI_TRY(once("generation", option));
    TUTTI_TRY_ASSIGN(machine_.nic_gigatransfers, generation(option));
    return {};
  }
  if (option.text.find_first_not_of("0123456789") == std::string_view::npos) {
    TUTTI_TRY(once("number of ports", option));
    TUTTI_TRY(count(option, 8, machine_.ports));
    if (const Word port = word(); port.text != "port") {
      return fail(port.at, "a number here counts ports: 2 port");
    }
    return {};
  }
  return fail(option.at, "\"{}\" is no option of nic; there are 400G, gen5, and 2 port",
              option.text);
}

Status Parser::check() const {
  const auto uneven = [](int parts, int whole) { return parts % whole != 0; };
  if (uneven(machine_.numas, machine_.packages)) {
    return fail(0, "{} NUMA nodes do not divide among {} packages", machine_.numas,
                machine_.packages);
  }
  if (machine_.switches > 0 && uneven(machine_.switches, machine_.numas) &&
      machine_.switches > machine_.numas) {
    return fail(0, "{} switches do not divide among {} NUMA nodes", machine_.switches,
                machine_.numas);
  }
  return check_fabric();
}

Status Parser::check_fabric() const {
  const int links = machine_.links > 0 ? machine_.links : machine_.gpu.links;
  switch (machine_.fabric) {
    case Fabric::none:
      if (links_at_ > 0) {
        return fail(links_at_, "x{} counts links of a fabric; name nvswitch, mesh or ring", links);
      }
      break;
    case Fabric::cube:
      if (machine_.gpus != 8) {
        return fail(fabric_at_, "cube is the wiring of 8 GPUs, not of {}", machine_.gpus);
      }
      if (links_at_ > 0) {
        return fail(links_at_, "a cube has 6 links of each GPU, whatever x{} says", links);
      }
      break;
    case Fabric::mesh:
      if (machine_.gpus > links + 1) {
        return fail(fabric_at_, "{} links of a GPU do not reach {} others", links,
                    machine_.gpus - 1);
      }
      break;
    case Fabric::ring:
      if (machine_.gpus > 2 && links < 2) {
        return fail(fabric_at_, "a ring takes 2 links of each GPU, not {}", links);
      }
      break;
    case Fabric::nvswitch:
      if (machine_.nvswitches > links) {
        return fail(fabric_at_, "{} links of a GPU do not reach {} NVSwitches", links,
                    machine_.nvswitches);
      }
      break;
  }
  return {};
}

}  // namespace

bool is_synthetic(std::string_view text) {
  std::size_t at = 0;
  skip_spaces(text, at);
  if (!text.substr(at).starts_with("node")) {
    return false;
  }
  at += 4;
  skip_spaces(text, at);
  return at < text.size() && text[at] == '{';
}

Result<Graph> parse_synthetic(std::string_view text) {
  TUTTI_TRY_ASSIGN(const Machine machine, Parser(text).parse());
  return build_machine(machine);
}

}  // namespace tutti::topology
