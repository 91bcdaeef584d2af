"""Genres that filters learned from laws and manuals drop: verse, lyrics, speech, figures in prose, recipes, tips, formulas.

KINDS has a maker for each kind: rng → text. The words are made up; verse has no story, but the shape of verse.
"""

# ruff: noqa: E501 (sentences stand in one piece)
from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

Maker = Callable[[Random], str]


def words(text: str) -> list[str]:
    return text.split()


# --- verse ------------------------------------------------------------------------------------------------------------

SKY = words("月 云 雪 霜 露 雨 风 星 日 烟 霞 雾 虹 潮 浪 波")
LAND = words("山 江 溪 湖 桥 岸 亭 楼 城 村 园 林 田 径 渡 塞 关 寺 窗 井")
LIFE = words("雁 鹤 莺 燕 蝉 鱼 马 鹿 松 竹 梅 兰 菊 柳 桃 荷 苔 蓬 枫 草")
HUE = words("青 白 寒 远 孤 空 新 旧 晚 暮 清 幽 残 深 暗 轻 长 高 明 疏")
DEED = words("归 来 落 起 度 照 听 看 寻 送 坐 卧 登 倚 望 别 闻 渡 随 怜")
MOOD = words("愁 梦 酒 琴 书 剑 灯 钟 笛 歌 泪 思 情 心 客 僧 翁 妾 友 君")
TIME = words("春 夏 秋 冬 朝 夜 晨 昔 今 年 时 昼 更 初 岁")
ODD = words("不 未 何 谁 自 欲 已 还 犹 独 相 共 正 又 几 无 有 莫 应 似")


def _pair(rng: Random) -> str:
    return rng.choice(HUE) + rng.choice(rng.choice([SKY, LAND, LIFE]))


def _line_of(rng: Random, length: int) -> str:
    """A line of 4 to 7 hanzi in the pattern of classical verse."""
    noun = lambda: rng.choice(rng.choice([SKY, LAND, LIFE, MOOD]))  # noqa: E731
    two = rng.choice([lambda: _pair(rng), lambda: rng.choice(TIME) + noun(), lambda: noun() + noun()])
    parts = [two() for _ in range(length // 2 - 1)]
    tail = rng.choice(ODD) + rng.choice(DEED) + noun() if length % 2 else rng.choice(ODD) + rng.choice(DEED)
    return "".join([*parts, tail])


def classical(rng: Random, marks: bool = False) -> str:
    """One to five poems of regular lines, with or without punctuation."""
    poems = []
    for _ in range(rng.choice([1, 2, 3, 5])):
        length, lines = rng.choice([4, 5, 5, 7, 7]), rng.choice([8, 8, 12, 16, 20])
        made = [_line_of(rng, length) for _ in range(lines)]
        if marks:
            made = [made[i] + "，" + made[i + 1] + "。" for i in range(0, lines, 2)]
        poems.append("\n".join(["".join(rng.sample(TIME + LAND, 2)), *made] if rng.random() < 0.5 else made))
    return "\n\n".join(poems)


WHO = words("我 你 我们 他 她 谁 风 那个孩子 母亲 这座城市 远方的人 昨天 影子 沉默 一盏灯 黄昏")
VERBS = words("走过 记得 等待 打开 忘记 穿过 听见 数着 放下 抱紧 写下 点亮 错过 想起 看着 带走")
WHAT = words(
    "一条没有尽头的路 那年夏天的雨 半张旧照片 你留下的名字 街角的灯光 一封不曾寄出的信 窗外的梧桐 说不出口的话 "
    "最后一班电车 童年的纸船 回家的方向 凌晨三点的月亮 空荡荡的站台 一场很久以前的雪 海的声音 生锈的钥匙"
)
ENDS = words("就这样 慢慢地 不再回头 直到天亮 像从前一样 却不说话 一遍又一遍 没有告诉任何人 在风里 也许明天 轻轻地")


def _free_line(rng: Random) -> str:
    form = rng.randrange(5)
    who, verb, what, end = rng.choice(WHO), rng.choice(VERBS), rng.choice(WHAT), rng.choice(ENDS)
    return [
        f"{who}{verb}{what}",
        f"{end}{verb}了{what}",
        f"如果{who}还{verb}着{what}",
        f"{what}里有{rng.choice(WHO)}",
        f"{who}{end}",
    ][form]


def free_verse(rng: Random) -> str:
    """A modern poem: short lines without marks, in stanzas."""
    return "\n\n".join("\n".join(_free_line(rng) for _ in range(rng.randint(3, 6))) for _ in range(rng.randint(4, 8)))


def lyrics(rng: Random) -> str:
    """A song: verses and a chorus that comes three or four times, sometimes with times or with names of parts."""
    chorus = "\n".join([*(_free_line(rng) for _ in range(4)), "啦" * rng.randint(2, 8)])
    parts = []
    for number in range(rng.choice([2, 3, 3, 4])):
        parts += ["\n".join(_free_line(rng) for _ in range(rng.randint(4, 6))), chorus]
        if rng.random() < 0.2:
            parts[-2] = f"（主歌{number + 1}）\n{parts[-2]}"
    text = "\n\n".join(parts)
    if rng.random() < 0.25:
        lines = [line for line in text.split("\n") if line]
        text = "\n".join(
            f"[{i * 7 // 60:02d}:{i * 7 % 60:02d}.{rng.randint(0, 99):02d}]{x}" for i, x in enumerate(lines)
        )
    return text


# --- speech -----------------------------------------------------------------------------------------------------------

OPEN = words("好 那么 然后 其实 就是说 我觉得 对吧 你看 所以呢 嗯 反正 另外 这个时候 当时 后来 大家注意 实际上 说白了")
SAID = words(
    "今天我们来讲一下{0}的基本原理 {0}这个东西它主要是靠{1}来完成的 很多人一开始都会把{0}和{1}搞混 "
    "我那会儿刚接触{0}什么都不懂 你要是把{1}做好了后面{0}就很简单 我跟他说你先别着急把{0}弄清楚再说 "
    "这一块内容我们下一节课还会再讲 大概过了三四年吧{1}才慢慢被大家接受 老师当时给我们举了一个例子说的就是{0} "
    "刚才有位同学问到{1}为什么不能直接用在{0}上面 我自己的体会是不要怕麻烦多试几次 家里人也不太理解为什么我要去做{0} "
    "咱们国家在{0}方面这几年发展得还是很快的 如果把这两个放在一起比较的话差别就出来了 "
    "他那个人平时话不多但是一说到{1}就停不下来 这里面有一个很重要的问题就是{0}到底要怎么管 "
    "首先我们要看{1}是不是满足条件 我印象特别深有一次因为{0}差点没赶上火车 所以最后的结论就是{0}离不开{1} "
    "这个大家回去可以自己再想一想"
)
ABOUT = words(
    "梯度下降 城市规划 种植水稻 中医诊断 相对论 短跑训练 瓷器烧制 财务报表 摄影构图 心理咨询 古建筑修复 编译原理 "
    "垃圾分类 儿童阅读 海洋保护 汽车维修 戏曲唱腔 咖啡烘焙 地震预警 法律援助 养老服务 数据压缩 登山救援 口语教学 木工"
)


def _speech(rng: Random, size: int) -> list[str]:
    topic, other = rng.sample(ABOUT, 2)
    said: list[str] = []
    while sum(map(len, said)) < size:
        start = rng.choice(OPEN) if rng.random() < 0.6 else ""
        if rng.random() < 0.1:
            topic = rng.choice(ABOUT)
        said.append(start + rng.choice(SAID).format(topic, other))
    return said


def transcript(rng: Random) -> str:
    """Speech as a recogniser writes it, without marks: in one line, with spaces, in lines, with speakers or with times."""
    said, form = _speech(rng, rng.randint(300, 1800)), rng.randrange(6)
    if form == 0:
        return "".join(said)
    if form == 1:
        return " ".join(said)
    if form == 2:
        return "\n".join(said)
    if form == 3:
        return "\n".join(f"说话人{rng.randint(1, 2)}\n{x}" for x in said)
    if form == 4:
        return "\n".join(f"{i * 6 // 60:02d}:{i * 6 % 60:02d} {x}" for i, x in enumerate(said))
    return "\n\n".join(
        f"{i}\n00:{i * 5 // 60:02d}:{i * 5 % 60:02d},{rng.randint(0, 999):03d} --> "
        f"00:{(i * 5 + 4) // 60:02d}:{(i * 5 + 4) % 60:02d},{rng.randint(0, 999):03d}\n{x}"
        for i, x in enumerate(said, 1)
    )


# --- prose with figures -----------------------------------------------------------------------------------------------

SHARES = words("沪指 深成指 创业板指 恒生指数 道指 纳指 标普500指数 日经225指数 科创50指数 中证1000指数")
FIRMS = words("华远电子 北辰能源 江海航运 国泰纸业 金桥医药 南岭水泥 中原食品 远景光伏 长河机械 瑞安银行")
TRADES = words("半导体 白酒 煤炭 银行 光伏 医药 军工 房地产 有色金属 食品饮料 券商 汽车零部件")


def _number(rng: Random, low: float, high: float, places: int = 2) -> str:
    return f"{rng.uniform(low, high):.{places}f}"


def finance(rng: Random) -> str:
    """A market report or a company's results: a third of it is figures."""
    n = lambda a, b, p=2: _number(rng, a, b, p)  # noqa: E731
    up = lambda: rng.choice(words("涨 跌 上涨 下跌 微涨 收跌"))  # noqa: E731
    said = []
    for _ in range(rng.randint(6, 14)):
        a, b, c = rng.sample(SHARES, 3)
        x, y = rng.sample(FIRMS, 2)
        t, u = rng.sample(TRADES, 2)
        said.append(
            rng.choice(
                [
                    f"截至收盘，{a}报{n(2000, 9000)}点，{up()}{n(0, 4)}%，成交额{n(1000, 9000)}亿元；{b}报{n(2000, 9000)}点，"
                    f"{up()}{n(0, 4)}%；{c}报{n(2000, 9000)}点，{up()}{n(0, 4)}%。",
                    f"{x}（6{rng.randint(10000, 99999)}）前三季度营业收入{n(10, 900)}亿元，同比增长{n(1, 60)}%；归母净利润"
                    f"{n(1, 90)}亿元，同比{up()}{n(1, 60)}%；基本每股收益{n(0, 3)}元，拟每10股派{n(0, 9)}元。",
                    f"盘面上，{t}板块{up()}{n(1, 6)}%，{x}{up()}{n(1, 10)}%，{y}{up()}{n(1, 10)}%；{u}板块{up()}{n(0, 5)}%。",
                    f"人民币兑美元中间价报{n(6, 7.3, 4)}，较前一日调升{rng.randint(5, 300)}个基点；隔夜利率报{n(1, 3, 3)}%。",
                    f"纽约原油期货{rng.randint(1, 12)}月合约{up()}{n(0, 3)}美元，收于每桶{n(50, 120)}美元，跌幅为{n(0, 4)}%；"
                    f"现货黄金报每盎司{n(1500, 2600)}美元，{up()}{n(0, 2)}%。",
                    f"北向资金当日净流入{n(1, 99)}亿元，其中沪股通{n(1, 50)}亿元，深股通{n(1, 50)}亿元；两融余额为{n(10000, 19000)}亿元。",
                    f"央行{rng.randint(1, 12)}月{rng.randint(1, 28)}日开展{rng.randint(1, 900) * 10}亿元7天期逆回购操作，利率为{n(1, 3)}%，"
                    f"当日有{rng.randint(1, 900) * 10}亿元到期，净投放{rng.randint(1, 900)}亿元。",
                ]
            )
        )
    return ("\n" if rng.random() < 0.4 else "").join(said)


CLUBS = words("蓝鲸 山猫 东港 银河 北钢 海燕 雷霆谷 铁马 青龙湖 长风")
PLAYERS = words("王远 李铭 赵一帆 陈浩然 孙立 周海涛 吴迪 郑凯 马可 林书成 何塞 安德森")


def sports(rng: Random) -> str:
    """A report of matches with scores, quarters and personal figures."""
    r = rng.randint
    said = []
    for _ in range(r(6, 12)):
        a, b = rng.sample(CLUBS, 2)
        p, q, s = rng.sample(PLAYERS, 3)
        said.append(
            rng.choice(
                [
                    f"北京时间{r(1, 12)}月{r(1, 28)}日，{a}队主场{r(90, 130)}-{r(80, 120)}战胜{b}队，四节比分为{r(18, 38)}-{r(18, 38)}、"
                    f"{r(18, 38)}-{r(18, 38)}、{r(18, 38)}-{r(18, 38)}、{r(18, 38)}-{r(18, 38)}。",
                    f"{p}出场{r(20, 42)}分钟，{r(10, 25)}投{r(5, 10)}中，三分{r(5, 12)}中{r(1, 5)}，得到{r(15, 45)}分{r(3, 15)}个篮板"
                    f"{r(2, 14)}次助攻；{q}{r(10, 30)}分{r(1, 9)}板，{s}{r(8, 20)}分。",
                    f"{p}以{r(6, 7)}-{r(0, 5)}、{r(3, 7)}-{r(3, 7)}、{r(6, 7)}-{r(0, 5)}击败{q}，用时{r(1, 3)}小时{r(1, 59)}分，"
                    f"全场轰出{r(5, 25)}记发球局直接得分。",
                    f"男子100米决赛中，{p}以{_number(rng, 9.8, 10.6)}秒夺冠，{q}{_number(rng, 9.9, 10.7)}秒列第2，{s}{_number(rng, 10, 10.9)}"
                    f"秒列第3，当时风速为{_number(rng, 0, 2, 1)}米每秒。",
                    f"第{r(5, 89)}分钟，{p}禁区外起脚将比分改写为{r(0, 3)}-{r(0, 3)}，第{r(60, 94)}分钟{q}补射得手。",
                    f"赛后{a}队{r(10, 30)}胜{r(3, 9)}平{r(1, 9)}负积{r(40, 80)}分排名第{r(1, 9)}，{b}队积{r(20, 60)}分排在第{r(10, 18)}。",
                ]
            )
        )
    return ("\n" if rng.random() < 0.4 else "").join(said)


FOODS = words("五花肉 鸡胸肉 豆腐 土豆 胡萝卜 香菇 青椒 番茄 鲈鱼 虾仁 茄子 排骨 西兰花 木耳 面粉 糯米 莲藕 冬瓜")
SPICE = words("生抽 老抽 料酒 白糖 盐 花椒 八角 香叶 姜 葱 蒜 淀粉 蚝油 醋 豆瓣酱 食用油 白胡椒粉")
STEPS = words(
    "{0}洗净切成小块 锅里放水烧开，把{0}焯一分钟捞出 热锅凉油，下{2}爆香 放入{0}翻炒到变色 "
    "加{2}和少许清水，盖上盖子焖{n}分钟 下{1}一起翻匀 大火收汁，撒上葱花就可以出锅了 用{2}把{0}抓匀，腌{n}分钟 "
    "{1}去皮切片，泡在清水里备用 尝一下咸淡再关火"
)


def recipe(rng: Random) -> str:
    """Amounts, then steps; most lines are short and some end without a mark."""
    a, b, *more = rng.sample(FOODS, 4)
    spices = rng.sample(SPICE, rng.randint(5, 9))
    form = rng.randrange(3)
    amount = lambda food: f"{food}{rng.choice(['', ' ', '：'])}{rng.randint(1, 90) * 10}克"  # noqa: E731
    spoon = lambda spice: (  # noqa: E731
        f"{spice}{rng.choice(['', ' '])}{rng.choice(words('1勺 2勺 适量 少许 5克 3片 半勺 10毫升'))}"
    )
    made = [amount(a), amount(b), *(amount(food) for food in more[: rng.randint(0, 2)]), *(spoon(s) for s in spices)]
    steps = [
        step.format(a, b, rng.choice(spices), n=rng.randint(2, 40)) for step in rng.sample(STEPS, rng.randint(5, 9))
    ]
    if form == 0:
        head = f"{a}烧{b}\n\n食材\n" + "\n".join(made) + "\n\n做法\n"
        return head + "\n".join(f"{i}. {step}" for i, step in enumerate(steps, 1))
    if form == 1:
        return f"【{b}炒{a}】\n用料：{'、'.join(made)}\n步骤：\n" + "\n".join(
            f"步骤{i} {s}" for i, s in enumerate(steps, 1)
        )
    return f"{a}{b}煲\n" + "\n".join([*made, *steps]) + "\n小贴士：" + rng.choice(steps)


TIPS = words(
    "每天{0}半小时 睡前一小时不要{0} 把{0}列成清单 一次只做一件事 给自己留出{0}的时间 不要害怕{0} 学会对{0}说不 "
    "早起先喝一杯温水 和朋友聊聊{0} 定期整理{0} 用番茄钟管理{0} 坚持记录{0} 饭后散步二十分钟 多吃蔬菜少吃油炸食品 "
    "找到适合自己的{0}方法 少看手机多看书 保持好奇心 遇到问题先冷静下来 把大目标拆成小目标 周末留半天给家人 "
    "善待自己的身体 别和别人比较{0}"
)
HABITS = words("运动 阅读 工作 学习 写作 房间 情绪 花销 邮件 拒绝 加班 旅行 冥想 复盘 社交")


def tips(rng: Random) -> str:
    """Ten tips or so, numbered, in short lines without a mark at their end."""
    count, form = rng.randint(8, 14), rng.randrange(4)
    marks = [
        lambda i: f"{i}. ",
        lambda i: f"{i}、",
        lambda i: f"（{i}）",
        lambda i: f"第{'一二三四五六七八九十'[i % 10]}条 ",
    ]
    lines = [marks[form](i) + tip.format(rng.choice(HABITS)) for i, tip in enumerate(rng.sample(TIPS, count), 1)]
    if rng.random() < 0.3:
        lines = [f"{line}\n{_free_line(rng)}" for line in lines]
    return f"{rng.choice(HABITS)}的{count}个小建议\n" + "\n".join(lines)


NAMES = words("动量 能量 概率密度 特征值 偏导数 交叉熵 曲率 电场强度 方差 转移矩阵 角速度 反应速率")


def formulas(rng: Random) -> str:
    """A derivation: short sentences between formulas."""
    v = lambda: rng.choice("xyzabcuvwpqrstkmn")  # noqa: E731
    g = lambda: rng.choice(words(r"\alpha \beta \lambda \theta \sigma \mu"))  # noqa: E731
    shapes = [
        lambda: f"\\frac{{\\partial {v()}}}{{\\partial {v()}}} = {g()}^{{2}} {v()}_{{i}} + {v()}",
        lambda: f"\\sum_{{i=1}}^{{n}} ({v()}_i - \\bar{{{v()}}})^2 \\leq {g()} \\cdot \\|{v()}\\|^2",
        lambda: f"\\int_0^{{\\infty}} e^{{-{g()} {v()}^2}} d{v()} = \\sqrt{{\\frac{{\\pi}}{{{g()}}}}}",
        lambda: (
            f"{v()}_{{t+1}} = {v()}_t - {g()} \\nabla f({v()}_t) = \\left[ \\begin{{matrix}} 1 & {v()} \\\\ 0 & 1 "
            "\\end{matrix} \\right]"
        ),
    ]
    lead = words(
        "因此{}可以写成 由定义得到{} 把{}代入上式 对{}两边取对数 注意到{}不为零 于是{}满足 这就证明了{}的性质 "
        "考虑{}的极限"
    )
    parts = []
    for _ in range(rng.randint(5, 10)):
        parts.append(rng.choice(lead).format(rng.choice(NAMES)) + rng.choice(["", "，", "："]))
        parts += [f"$${rng.choice(shapes)()}$$" for _ in range(rng.randint(1, 3))]
    return "\n".join(parts)


def rare_name(rng: Random) -> str:
    """An article about somebody whose name has a hanzi that is in no font's standard part, but in private use."""
    rare = chr(rng.randint(0xE000, 0xE815))
    family, place, year = (
        rng.choice("王李张刘陈杨赵"),
        rng.choice(["江西", "福建", "山东", "湖南"]),
        rng.randint(1500, 1900),
    )
    said = [
        f"{family}{rare}（{year}年—{year + rng.randint(40, 80)}年），字{rng.choice('子伯仲')}{rng.choice('明文安和')}，{place}人，学者。",
        f"{family}{rare}幼时家贫，借书抄读，二十岁中举，后来在乡里讲学三十余年。",
        f"他的著作有《{rng.choice(LAND)}{rng.choice(LAND)}集》十卷，今存六卷，收录诗文二百余篇。",
        f"{year + 30}年，{family}{rare}主持修筑河堤，沿岸数千户人家因此免于水患。",
        f"后人评价{family}{rare}的文章质朴平实，不事雕琢，与同时代的风气很不一样。",
        "县志中另有一篇传记，说他晚年双目失明，仍口授弟子整理旧稿。",
        f"其子{family}{rng.choice('承继')}{rng.choice('业志')}也以书法知名，作品现藏于地方博物馆。",
    ]
    return "".join(said[: rng.randint(4, 7)]) if rng.random() < 0.5 else "\n".join(said)


KINDS: dict[str, Maker] = {
    "verse without marks": classical,
    "verse with marks": lambda rng: classical(rng, marks=True),
    "free verse": free_verse,
    "lyrics": lyrics,
    "transcript": transcript,
    "finance news": finance,
    "sports news": sports,
    "recipe": recipe,
    "tips": tips,
    "formulas": formulas,
    "rare name": rare_name,
}


def made(kind: str, count: int, seed: int, makers: dict[str, Maker] = KINDS) -> Sequence[str]:
    """So many texts of a kind. The same seed gives the same texts."""
    rng = Random(f"{kind} {seed}")
    return [makers[kind](rng) for _ in range(count)]
