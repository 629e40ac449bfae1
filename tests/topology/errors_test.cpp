// What is wrong with a file is said with its name, its line and the reason.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "topology/load.h"
#include "topology/synthetic.h"
#include "topology/xml_file.h"

namespace tutti::topology {
namespace {

using testing::HasSubstr;

std::string error_of(std::string_view text) {
  const auto graph = load_text("f.xml", text);
  return graph.ok() ? "no error" : std::string(graph.status().message());
}

struct Case {
  const char* name;
  std::string text;
  const char* error;
};

// GoogleTest looks for this name. NOLINTNEXTLINE(readability-identifier-naming)
void PrintTo(const Case& one, std::ostream* out) {
  *out << one.name;
}

class Wrong : public testing::TestWithParam<Case> {};

TEST_P(Wrong, SaysFileLineAndReason) {
  EXPECT_THAT(error_of(GetParam().text), HasSubstr(GetParam().error));
}

std::string system(std::string_view inside) {
  return fmt::format("<system version=\"1\">\n{}\n</system>", inside);
}
std::string gpu(std::string_view inside) {
  return system(
      fmt::format("<cpu numaid=\"0\">\n<pci busid=\"0000:01:00.0\" class=\"0x030200\">\n"
                  "<gpu sm=\"90\">\n{}\n</gpu></pci></cpu>",
                  inside));
}
std::string hwloc(std::string_view inside, std::string_view after = {}) {
  return fmt::format(
      "<topology version=\"2.0\">\n<object type=\"Machine\">\n{}\n</object>\n{}\n"
      "</topology>",
      inside, after);
}
std::string nvlink_matrix(std::string_view inside) {
  return hwloc(
      "",
      fmt::format("<distances2 nbobjs=\"2\" name=\"NVLinkBandwidth\">\n{}</distances2>", inside));
}
std::string nested(int depth) {
  std::string text = "<system version=\"1\">";
  for (int i = 0; i < depth; ++i) {
    text += "<pci>";
  }
  for (int i = 0; i < depth; ++i) {
    text += "</pci>";
  }
  text += "</system>";
  return text;
}

const Case kText[] = {
    {"Empty", "", "f.xml:1: the file is empty"},
    {"NoXml", "hello", "f.xml:1: this is no XML"},
    {"Other", "<html/>", "f.xml:1: the outermost element is <html>"},
    {"Truncated", "<system version=\"1\">\n<cpu numaid=\"0\">\n<pci busid=\"00",
     "f.xml:3: Error parsing element attribute"},
    {"ZeroByte", std::string("<system>\0</system>", 18), "f.xml:1: there is a zero byte"},
    {"Entities",
     "<?xml version=\"1.0\"?>\n<!-- [ -->\n<!DOCTYPE system [\n<!ENTITY a \"&b;&b;\">]>\n<system/>",
     "f.xml:3: the document type declares entities"},
    {"Deep", nested(300), "f.xml:1: elements are nested more than 128 deep"},
    {"Tags", std::string(50'001, '<'), "f.xml:1: 50001 tags; a topology file has 50000 at most"},
    {"Large", std::string(kFileBytesMax + 1, '<'), "f.xml:1: 16777217 bytes"}};
INSTANTIATE_TEST_SUITE_P(Text, Wrong, testing::ValuesIn(kText));

const Case kNccl[] = {
    {"Graphs", "\n<graphs version=\"1\"/>", "f.xml:2: this is an NCCL graph file"},
    {"Version", "<system version=\"7\"/>", "f.xml:1: <system version=\"7\">: versions 1 (NCCL)"},
    {"NoCpu", "<system version=\"1\"/>", "f.xml:1: <system> has no <cpu>"},
    {"NoNuma", system("<cpu/>"), "f.xml:2: <cpu numaid=\"\">: a whole number from -1 to 1048576"},
    {"BusId", system("<cpu numaid=\"0\">\n<pci busid=\"1:2\"/></cpu>"),
     "f.xml:3: <pci busid=\"1:2\">: a bus id looks like 0000:18:00.0"},
    {"Twice",
     system("<cpu numaid=\"0\">\n<pci busid=\"01:00.0\"/>\n<pci busid=\"0000:01:00.0\"/></cpu>"),
     "f.xml:4: the bus id 0000:01:00.0 comes twice"},
    {"Mixed", system("<cpu numaid=\"0\">\n<pci busid=\"01:00.0\"><gpu/><nic/></pci></cpu>"),
     "f.xml:3: <pci busid=\"0000:01:00.0\"> holds more than one of <pci>, <gpu>, <nic>"},
    {"TwoGpus", system("<cpu numaid=\"0\">\n<pci busid=\"01:00.0\"><gpu/>\n<gpu/></pci></cpu>"),
     "f.xml:4: 0000:01:00.0 holds a second <gpu>"},
    {"Count", gpu("<nvlink target=\"02:00.0\" count=\"-1\"/>"),
     "f.xml:5: <nvlink count=\"-1\">: a whole number from 1 to 1024 belongs here"},
    {"NoTarget", gpu("<nvlink count=\"1\"/>"), "f.xml:5: <nvlink> has no target"},
    {"C2c", gpu("<c2c bw=\"x\" count=\"1\"/>"), "f.xml:5: <c2c bw=\"x\">: a whole number"},
    {"C2cTwice", gpu("<c2c bw=\"1\" count=\"1\"/>\n<c2c bw=\"1\" count=\"1\"/>"),
     "f.xml:6: 0000:01:00.0 has a second <c2c>"},
    {"Speed", system("<cpu numaid=\"0\"><nic>\n<net speed=\"fast\"/></nic></cpu>"),
     "f.xml:3: <net speed=\"fast\">: a whole number from -1"}};
INSTANTIATE_TEST_SUITE_P(Nccl, Wrong, testing::ValuesIn(kNccl));

const Case kHwloc[] = {
    {"Version3", "<topology version=\"3.0\"/>",
     "f.xml:1: hwloc XML version 3.0: versions 1 and 2 are known; with hwloc 3 write it by lstopo "
     "--export-xml-flags v2"},
    {"NoMachine", "<topology version=\"2.0\">\n<object type=\"Core\"/></topology>",
     "f.xml:2: <topology> does not begin with an <object type=\"Machine\">"},
    {"NumaIndex", hwloc("<object type=\"NUMANode\"/>"),
     "f.xml:3: os_index=\"\": a whole number from 0"},
    {"BusId", hwloc("<object type=\"PCIDev\" pci_busid=\"x\"/>"),
     "f.xml:3: pci_busid=\"x\": a bus id looks like"},
    {"PciType", hwloc("<object type=\"PCIDev\" pci_busid=\"01:00.0\" pci_type=\"0302\"/>"),
     "f.xml:3: pci_type=\"0302\": this looks like 0302 [10de:2330]"},
    {"Objects", hwloc("", "<distances2 nbobjs=\"9999999\" name=\"NVLinkBandwidth\"/>"),
     "f.xml:5: nbobjs=\"9999999\": a whole number from 1 to 1024"},
    {"Values", nvlink_matrix("<indexes>1 2</indexes><u64values>1 2 3</u64values>"),
     "f.xml:5: 2 indexes and 3 values for a matrix of 2 objects"},
    {"Number", nvlink_matrix("<indexes>1 2</indexes><u64values>1 2 3 x</u64values>"),
     "f.xml:5: the matrix holds \"x\", which is no number"},
    {"MatrixTwice",
     nvlink_matrix("<indexes>1 2</indexes><u64values>1 2 3 4</u64values></distances2>\n"
                   "<distances2 nbobjs=\"1\" name=\"NVLinkBandwidth\"><indexes>1</indexes>"
                   "<u64values>1</u64values>"),
     "f.xml:7: a second matrix has the name NVLinkBandwidth"}};
INSTANTIATE_TEST_SUITE_P(Hwloc, Wrong, testing::ValuesIn(kHwloc));

const Case kSynthetic[] = {
    {"Part", "node{2 numa, 8 gpus}",
     "f.xml: column 16: \"gpus\" is no part; parts are package, numa, core, switch, gpu, nic\n"
     "  node{2 numa, 8 gpus}\n                 ^"},
    {"Count", "node{0 numa}", "column 6: a count from 1 to 4096 belongs here"},
    {"Brace", "node{8 gpu", "column 11: a comma or the closing brace belongs here"},
    {"After", "node{8 gpu} x", "column 13: the machine ends at the brace; nothing may follow"},
    {"GpuOption", "node{8 gpu fast}", "column 12: \"fast\" is no option of gpu"},
    {"NicOption", "node{8 nic fast}", "column 12: \"fast\" is no option of nic"},
    {"Ports", "node{8 nic 2 ports}", "column 14: a number here counts ports: 2 port"},
    {"NumaOption", "node{8 numa 2}", "column 13: \"2\" is no option of numa"},
    {"Generation", "node{8 switch gen9}", "column 18: a count from 1 to 6 belongs here"},
    {"Packages", "node{2 package, 3 numa}", "3 NUMA nodes do not divide among 2 packages"},
    {"Switches", "node{2 numa, 3 switch}", "3 switches do not divide among 2 NUMA nodes"},
    {"Cube", "node{4 gpu v100 cube}", "column 17: cube is the wiring of 8 GPUs, not of 4"},
    {"Mesh", "node{8 gpu x3 mesh}", "column 15: 3 links of a GPU do not reach 7 others"},
    {"PartTwice", "node{8 gpu, 4 gpu}", "column 15: a second part of gpu"},
    {"FabricTwice", "node{8 gpu mesh ring}", "column 17: \"ring\" is a second fabric"},
    {"ModelTwice", "node{8 gpu a100 h100}", "column 17: \"h100\" is a second model"},
    {"LinksTwice", "node{8 gpu ring x4 x6}", "column 20: \"x6\" is a second number of links"},
    {"RateTwice", "node{8 nic 400G 200G}", "column 17: \"200G\" is a second rate"},
    {"NicGenerationTwice", "node{8 nic gen4 gen5}", "column 17: \"gen5\" is a second generation"},
    {"PortsTwice", "node{8 nic 2 port 1 port}", "column 19: \"1\" is a second number of ports"},
    {"SwitchTwice", "node{8 switch gen4 gen5}", "column 20: \"gen5\" is a second generation"},
    {"VendorTwice", "node{1 package amd intel}", "column 20: \"intel\" is a second vendor"},
    {"LinksOfNothing", "node{8 gpu x4}", "column 12: x4 counts links of a fabric"},
    {"LinksOfCube", "node{8 gpu v100 cube x4}", "column 22: a cube has 6 links of each GPU"},
    {"RingOfOne", "node{8 gpu ring x1}", "column 12: a ring takes 2 links of each GPU, not 1"},
    {"Nvswitches", "node{8 gpu nvswitch 19}",
     "column 12: 18 links of a GPU do not reach 19 NVSwitches"}};
INSTANTIATE_TEST_SUITE_P(Synthetic, Wrong, testing::ValuesIn(kSynthetic));

TEST(Wrong, SyntheticBeginning) {
  EXPECT_THAT(std::string(parse_synthetic("host{1 gpu}").status().message()),
              HasSubstr("column 1: a machine begins with node{"));
  EXPECT_THAT(std::string(parse_synthetic("node 1 gpu").status().message()),
              HasSubstr("column 6: a brace opens the list of parts"));
}

TEST(Wrong, FileThatIsNotThere) {
  EXPECT_THAT(std::string(load_file("/no/such/file").status().message()),
              HasSubstr("/no/such/file: cannot be opened: No such file or directory"));
  EXPECT_THAT(std::string(load_file("/").status().message()), HasSubstr("/: cannot be read"));
}

TEST(Wrong, EndlessFile) {
  EXPECT_THAT(std::string(load_file("/dev/zero").status().message()),
              HasSubstr("/dev/zero: longer than 16777216 bytes"));
}

TEST(Wrong, TooManySocketsOfHwloc) {
  std::string packages;
  for (int i = 0; i < 1025; ++i) {
    packages += "<object type=\"Package\"/>";
  }
  EXPECT_THAT(error_of(hwloc(packages)), HasSubstr("f.xml:1: 1025 packages or NUMA nodes"));
}

// From above and from below: the tree has that link already.
TEST(Wrong, PcilinkThatRepeatsTheTreeIsLeftOutWithANote) {
  const auto graph = load_text(
      "f.xml", system("<cpu numaid=\"0\">\n<pci busid=\"0000:01:00.0\" class=\"0x060400\">\n"
                      "<pcilink target=\"0000:02:00.0\"/>\n"
                      "<pci busid=\"0000:02:00.0\" class=\"0x060400\">\n"
                      "<pcilink target=\"0000:01:00.0\"/>\n</pci></pci></cpu>"));
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  EXPECT_THAT(graph->notes,
              testing::ElementsAre(
                  "line 4: <pcilink> to 0000:02:00.0 repeats a link of the tree; left out",
                  "line 6: <pcilink> to 0000:01:00.0 repeats a link of the tree; left out"));
}

TEST(Wrong, TooManyNodes) {
  std::string cores;
  for (int i = 0; i < 20'000; ++i) {
    cores += "<object type=\"Core\"/>";
  }
  EXPECT_THAT(error_of(hwloc(cores)),
              HasSubstr("f.xml:1: 20001 nodes; a machine has 20000 at most"));
}

TEST(Wrong, TooManyDevices) {
  std::string nics;
  for (int i = 0; i < 1024; ++i) {
    nics += "<nic/>";
  }
  const std::string gpu = "<pci busid=\"0000:01:00.0\" class=\"0x030200\"/>";
  EXPECT_EQ(error_of(system("<cpu numaid=\"0\">" + nics + "</cpu>")), "no error");
  EXPECT_THAT(error_of(system("<cpu numaid=\"0\">" + nics + gpu + "</cpu>")),
              HasSubstr("f.xml:1: 1025 GPUs and NICs; a machine has 1024 at most"));
  EXPECT_THAT(error_of("node{1000 gpu, 25 nic}"), HasSubstr("f.xml: 1025 GPUs and NICs"));
}

TEST(Wrong, ACardOfTooManyPartitions) {
  std::string parts;
  for (int i = 0; i < 40'000; ++i) {
    parts += "<object type=\"OSDev\" osdev_type=\"5\" name=\"rsmi0\"/>";
  }
  EXPECT_THAT(error_of(hwloc("<object type=\"PCIDev\" pci_busid=\"0000:01:00.0\" "
                             "pci_type=\"1200 [1002:74a1] [1002:74a1] 00\">" +
                             parts + "</object>")),
              HasSubstr("f.xml:1: 1025 GPUs and NICs"));
}

// Escape sequences of a file must not reach the terminal.
TEST(Wrong, ControlCharactersAreReplaced) {
  const auto graph =
      load_text("f.xml", system("<cpu numaid=\"0\" vendor=\"a&#27;[2Jb\">\n<nic>\n"
                                "<net name=\"e&#7;\x7fth0\" guid=\"&#10;1\"/></nic>"
                                "<pci busid=\"0000:01:00.0\" class=\"0x030200\"><gpu sm=\"90\">"
                                "<nvlink target=\"&#27;x\" count=\"1\" tclass=\"0x068000\"/>"
                                "<nvlink target=\"&#27;x\" count=\"2\" tclass=\"0x068000\"/>"
                                "</gpu></pci></cpu>"));
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  EXPECT_NE(find(*graph, "e??th0"), kNoNode);
  const auto clean = [](std::string_view text) {
    return std::none_of(text.begin(), text.end(),
                        [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  };
  for (const Node& node : graph->nodes) {
    EXPECT_TRUE(clean(node.name)) << node.name;
    for (const Attribute& attribute : node.attributes) {
      EXPECT_TRUE(clean(attribute.value)) << attribute.name;
    }
  }
  ASSERT_FALSE(graph->notes.empty());
  for (const std::string& note : graph->notes) {
    EXPECT_TRUE(clean(note)) << note;
  }
}

TEST(Wrong, ErrorsQuoteNoControlCharacters) {
  EXPECT_EQ(error_of("<system version=\"&#27;[2J\"/>"),
            "f.xml:1: <system version=\"?[2J\">: versions 1 (NCCL) and 2 (RCCL) are known");
  EXPECT_THAT(error_of(system("<cpu numaid=\"&#27;]0;x&#7;\"/>")), HasSubstr("\"?]0;x?\""));
  EXPECT_EQ(error_of("node{2 \x1b[2J\n}"),
            "f.xml: column 8: \"\" is no part; parts are package, numa, core, switch, gpu, "
            "nic\n  node{2 ?[2J?}\n         ^");
}

TEST(Wrong, TooManyPorts) {
  std::string ports;
  for (int i = 0; i < 1025; ++i) {
    ports += "<net name=\"eth0\"/>";
  }
  EXPECT_THAT(error_of(system("<cpu numaid=\"0\"><nic>" + ports + "</nic></cpu>")),
              HasSubstr("f.xml:1: 1025 ports of NICs; a machine has 1024 at most"));
}

TEST(Wrong, TooManySockets) {
  std::string cpus;
  for (int i = 0; i < 1025; ++i) {
    cpus += fmt::format("<cpu numaid=\"{}\"/>", i);
  }
  EXPECT_THAT(error_of(system(cpus)),
              HasSubstr("f.xml:1: 1025 packages or NUMA nodes; a machine has 1024 at most"));
}

}  // namespace
}  // namespace tutti::topology
