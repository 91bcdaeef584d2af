"""Made-up persons, firms, dates, addresses of pages and headlines, and the words that they are drawn from.

Everything is drawn from the random.Random that is given: the same state gives the same words.
"""

from __future__ import annotations

from random import Random


def words(text: str) -> list[str]:
    return text.split()


CITIES = words(
    "北京 上海 广州 深圳 杭州 成都 武汉 西安 南京 重庆 天津 苏州 长沙 郑州 青岛 大连 厦门 合肥 昆明 哈尔滨 兰州"
)
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅建国志文斌宇浩然子轩梓涵欣怡思远"
PINYIN = words(
    "wang li zhang liu chen yang zhao huang zhou wu xu sun hu zhu gao lin he guo ma luo liang song zheng xie"
)
TRADES = words("科技 商贸 物流 建材 电子 餐饮 文化传媒 机械设备 医疗器械 环保工程 教育咨询 网络技术 房地产 农业发展")
DEPARTMENTS = words("办公室 财务科 人事处 总务处 信息中心 保卫科 教务处 工会 门诊部 采购部 市场部 客服部 研发中心")
GOODS = words(
    "苹果 香蕉 西红柿 土豆 大白菜 五花肉 鸡蛋 草鱼 基围虾 豆腐 螺纹钢 水泥 铜杆 铝锭 聚乙烯 甲醇 尿素 玉米 大豆 棉花 "
    "轴承 密封圈 离心泵 减压阀 电磁阀 继电器 断路器 接触器 传感器 变频器 打印纸 墨盒 硒鼓 键盘 显示器 路由器"
)
THEMES = words(
    "二手房 租房 装修 搬家 开锁 培训 驾校 整形 减肥 贷款 网站建设 办公家具 发电机出租 空调维修 月嫂 婚纱摄影 会计代理 "
    "公司注册 商标注册 小程序开发 印刷厂家 灭火器 叉车租赁 管道疏通 白蚁防治 甲醛检测 英语辅导"
)
SECTIONS = words(
    "首页 新闻 国内 国际 社会 财经 科技 体育 娱乐 汽车 房产 教育 健康 旅游 时尚 军事 文化 历史 图片 视频 直播 专题 "
    "论坛 博客 评论 法治 公益 三农 游戏 读书 地方 数码 招聘 健身 亲子 星座 彩票 股票 基金 理财 问答 下载"
)
SITES = words("晨报网 江南新闻网 华声在线网 天涯资讯 中原门户 聚焦网 每日要闻 大河论坛 知行网 云端学堂 法律先锋 百科园")
HOSTS = words("www.chenbaowang.com news.jiangnanw.cn m.zhixing.net www.dahebbs.com.cn static.yunduan.com img.jujiao.cn")


def person(rng: Random) -> str:
    return rng.choice(SURNAMES) + "".join(rng.choices(GIVEN, k=rng.choice((1, 2, 2))))


def firm(rng: Random) -> str:
    return (
        rng.choice(CITIES)
        + "".join(rng.choices(GIVEN, k=2))
        + rng.choice(TRADES)
        + rng.choice(("有限公司", "有限责任公司", "股份有限公司"))
    )


def digits(rng: Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def day(rng: Random, *, first: int = 2005, last: int = 2024) -> tuple[int, int, int]:
    return rng.randint(first, last), rng.randint(1, 12), rng.randint(1, 28)


def url(rng: Random) -> str:
    year, month, date = day(rng)
    path = rng.choice(
        (
            f"/{year}/{month:02d}{date:02d}/{digits(rng, 7)}.html",
            f"/article/{digits(rng, 6)}.shtml",
            f"/thread-{digits(rng, 6)}-1-1.html",
            f"/a/{digits(rng, 9)}_{digits(rng, 6)}",
            f"/index.php?m=content&c=index&a=show&catid={rng.randint(1, 99)}&id={digits(rng, 5)}",
        )
    )
    return f"{rng.choice(('http', 'https'))}://{rng.choice(HOSTS)}{path}"


def headline(rng: Random) -> str:
    city, theme = rng.choice(CITIES), rng.choice(THEMES)
    return rng.choice(
        (
            f"{city}今年将新建{rng.randint(3, 40)}所学校",
            f"关于{theme}的{rng.randint(3, 10)}个常见问题",
            f"{city}：{person(rng)}谈{theme}行业的现状",
            f"记者实地探访{city}{theme}市场",
            f"{theme}怎么选？看完这篇就懂了",
            f"{city}{rng.randint(5, 30)}路公交线路调整",
        )
    )
